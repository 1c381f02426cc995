// SPDX-License-Identifier: Apache-2.0
// Build of the console: hashed files, nothing inlined, so that a content security policy of 'self' holds.
import { defineConfig } from 'vite';

export default defineConfig({
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact' },
  build: {
    target: 'es2021',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: { '/api': process.env.CLOUDML_URL ?? 'http://127.0.0.1:8080' },
  },
  test: { include: ['tests/*.test.ts'], reporters: ['default', './tests/sum.mjs'] },
} as Parameters<typeof defineConfig>[0]);
