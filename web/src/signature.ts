// SPDX-License-Identifier: Apache-2.0
// What a model takes and gives, read from TensorFlow Serving's metadata document, and a request of the right shape.
import type { Json } from './types';

export interface Tensor {
  name: string;
  dtype: string; // 'float32'
  shape: number[] | null; // -1 = any; null = rank not known
}

export interface Signature {
  name: string;
  method: string;
  inputs: Tensor[];
  outputs: Tensor[];
}

const DTYPES: Record<string, string> = {
  DT_FLOAT: 'float32',
  DT_DOUBLE: 'float64',
  DT_HALF: 'float16',
  DT_BFLOAT16: 'bfloat16',
  DT_INT8: 'int8',
  DT_INT16: 'int16',
  DT_INT32: 'int32',
  DT_INT64: 'int64',
  DT_UINT8: 'uint8',
  DT_UINT16: 'uint16',
  DT_UINT32: 'uint32',
  DT_UINT64: 'uint64',
  DT_BOOL: 'bool',
  DT_STRING: 'string',
};

interface TensorInfo {
  dtype?: string;
  tensor_shape?: { dim?: { size?: string | number }[]; unknown_rank?: boolean };
}

interface SignatureDef {
  inputs?: Record<string, TensorInfo>;
  outputs?: Record<string, TensorInfo>;
  method_name?: string;
}

export interface Metadata {
  model_spec?: { name?: string; version?: string };
  metadata?: { signature_def?: { signature_def?: Record<string, SignatureDef> } };
}

function tensors(infos: Record<string, TensorInfo> | undefined): Tensor[] {
  return Object.entries(infos ?? {})
    .map(([name, info]) => ({
      name,
      dtype: DTYPES[info.dtype ?? ''] ?? String(info.dtype ?? 'unknown'),
      shape: info.tensor_shape?.unknown_rank
        ? null
        : (info.tensor_shape?.dim ?? []).map((d) => Number(d.size ?? -1)),
    }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/* serving_default first; the loader's own signature, which takes nothing, is left out. */
export function signatures(metadata: Metadata): Signature[] {
  return Object.entries(metadata.metadata?.signature_def?.signature_def ?? {})
    .filter(([name]) => name !== '__saved_model_init_op')
    .map(([name, def]) => ({
      name,
      method: def.method_name ?? '',
      inputs: tensors(def.inputs),
      outputs: tensors(def.outputs),
    }))
    .sort((a, b) => Number(b.name === 'serving_default') - Number(a.name === 'serving_default'));
}

export function shapeText(tensor: Tensor): string {
  if (tensor.shape === null) return 'any shape';
  if (tensor.shape.length === 0) return 'one value';
  return tensor.shape.map((n) => (n < 0 ? 'any' : n)).join(' × ');
}

function isBatched(tensor: Tensor): boolean {
  return tensor.shape !== null && tensor.shape.length > 0 && (tensor.shape[0] ?? 0) < 0;
}

function value(dtype: string): Json {
  if (dtype === 'string') return 'text';
  if (dtype === 'bool') return true;
  return 1;
}

/* An unknown dimension becomes 1. */
function filled(dtype: string, shape: readonly number[]): Json {
  const [size, ...rest] = shape;
  if (size === undefined) return value(dtype);
  return Array.from({ length: size < 0 ? 1 : size }, () => filled(dtype, rest));
}

/* One row where every input has a batch dimension, else whole columns. */
export function exampleRequest(signature: Signature): Json {
  const head: { [key: string]: Json } =
    signature.name === 'serving_default' ? {} : { signature_name: signature.name };
  const rows = signature.inputs.length > 0 && signature.inputs.every(isBatched);
  const fill = (t: Tensor) => filled(t.dtype, rows ? (t.shape ?? []).slice(1) : (t.shape ?? []));
  const only = signature.inputs.length === 1 ? signature.inputs[0] : undefined;
  const body = only ? fill(only) : Object.fromEntries(signature.inputs.map((t) => [t.name, fill(t)]));
  return rows ? { ...head, instances: [body] } : { ...head, inputs: body };
}
