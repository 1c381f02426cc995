// SPDX-License-Identifier: Apache-2.0
// Lines to paste that ask a model for a prediction.
import { quote } from './format';
import type { Model } from './types';

const INLINE_MAX = 1500;

export function predictUrl(model: Model): string | null {
  return model.http_url ? `${model.http_url}:predict` : null;
}

/* A long request is better kept in a file. */
export function curlSnippet(url: string, request: string): string {
  if (request.length > INLINE_MAX) return `curl ${quote(url)} -d @request.json`;
  return `curl ${quote(url)} -d ${quote(request)}`;
}

export function pythonSnippet(url: string, request: string): string {
  const body = request.length > INLINE_MAX ? `open("request.json").read()` : JSON.stringify(request);
  return [
    'import json, urllib.request',
    '',
    `url = ${JSON.stringify(url)}`,
    `request = ${body}`,
    'with urllib.request.urlopen(url, request.encode()) as answer:',
    '    print(json.load(answer))',
  ].join('\n');
}
