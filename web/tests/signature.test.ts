// SPDX-License-Identifier: Apache-2.0
// Requests of the right shape from a model's metadata, their layout, and snippets.
import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { compactJson, layoutJson } from '../src/layout';
import { exampleRequest, shapeText, signatures } from '../src/signature';
import type { Metadata } from '../src/signature';
import { curlSnippet, pythonSnippet } from '../src/snippets';

function tensor(dtype: string, ...sizes: number[]) {
  return { dtype, tensor_shape: { dim: sizes.map((n) => ({ size: String(n), name: '' })), unknown_rank: false } };
}

function metadata(inputs: object, name = 'serving_default'): Metadata {
  const def = { inputs, outputs: { y: tensor('DT_FLOAT', -1, 10) }, method_name: 'tensorflow/serving/predict' };
  const init = { inputs: {}, outputs: {}, method_name: '' };
  return { metadata: { signature_def: { signature_def: { __saved_model_init_op: init, [name]: def } } } } as Metadata;
}

function example(inputs: object, name?: string) {
  const found = signatures(metadata(inputs, name));
  expect(found.length).toBe(1);
  return exampleRequest(found[0]!);
}

test('one batched input gives one row without its name', () => {
  expect(example({ x: tensor('DT_FLOAT', -1) })).toEqual({ instances: [1] });
  expect(example({ x: tensor('DT_FLOAT', -1, 2, 2) })).toEqual({ instances: [[[1, 1], [1, 1]]] });
});

test('several batched inputs give one object a row', () => {
  const inputs = { b: tensor('DT_STRING', -1, 1), a: tensor('DT_INT64', -1, 2), c: tensor('DT_BOOL', -1) };
  expect(example(inputs)).toEqual({ instances: [{ a: [1, 1], b: ['text'], c: true }] });
});

test('an input without a batch dimension gives columns', () => {
  expect(example({ x: tensor('DT_FLOAT') })).toEqual({ inputs: 1 });
  expect(example({ x: tensor('DT_FLOAT', 2), y: tensor('DT_FLOAT', -1) })).toEqual({ inputs: { x: [1, 1], y: [1] } });
});

test('another signature than the default is named in the request', () => {
  expect(example({ x: tensor('DT_FLOAT', -1) }, 'embed')).toEqual({ signature_name: 'embed', instances: [1] });
});

test('shapes are said in words where numbers are missing', () => {
  expect(shapeText({ name: 'x', dtype: 'float32', shape: [-1, 28, 28] })).toBe('any × 28 × 28');
  expect(shapeText({ name: 'x', dtype: 'float32', shape: [] })).toBe('one value');
  expect(shapeText({ name: 'x', dtype: 'float32', shape: null })).toBe('any shape');
});

test('layout keeps every digit and what JSON itself cannot say', () => {
  const answer = '{ "predictions": [ 9007199254740993, 1.0e-8, NaN,-Infinity, "a, b: [c]" ]\n}';
  expect(layoutJson(answer)).toBe('{"predictions": [9007199254740993, 1.0e-8, NaN, -Infinity, "a, b: [c]"]}');
  expect(compactJson(answer)).toBe('{"predictions":[9007199254740993,1.0e-8,NaN,-Infinity,"a, b: [c]"]}');
});

test('what is too long for a line is broken at its outermost lists', () => {
  const rows = Array.from({ length: 4 }, () => Array.from({ length: 20 }, (_, i) => i));
  const text = layoutJson(JSON.stringify({ instances: rows }));
  expect(JSON.parse(text)).toEqual({ instances: rows });
  expect(text.split('\n').length).toBe(8);
});

test('layout gives broken text back and survives deep nesting', () => {
  expect(layoutJson('{"a": [1')).toBe('{"a": [1');
  const deep = '['.repeat(20000) + ']'.repeat(20000);
  expect(compactJson(layoutJson(deep))).toBe(deep);
});

test('the Python snippet is valid Python and holds the request', () => {
  const request = '{"instances":["it\'s \\"x\\"", "é"]}';
  const code = pythonSnippet('http://127.0.0.1:1/v1/models/m:predict', request);
  const check = 'import ast,sys; t=ast.parse(sys.stdin.read()); print([n.value.value for n in t.body if isinstance(n, ast.Assign)][1])';
  expect(execFileSync('python3', ['-c', check], { input: code, encoding: 'utf8' }).trimEnd()).toBe(request);
});

test('the curl line reaches curl as one argument through a shell', () => {
  const request = '{"instances":["it\'s $HOME `x`"]}';
  const line = curlSnippet('http://127.0.0.1:1/v1/models/m:predict', request).replace(/^curl/, 'printf %s\\\\n');
  expect(execFileSync('sh', ['-c', line], { encoding: 'utf8' }).split('\n')[2]).toBe(request);
});

test('a long request is read from a file', () => {
  expect(curlSnippet('http://h/', 'x'.repeat(2000))).toBe('curl http://h/ -d @request.json');
});
