import react from '@vitejs/plugin-react'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

/** Relative addresses: the page works behind whatever path a proxy serves it at. */
export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  base: './',
  logLevel: 'warn',
  plugins: [react()],
  resolve: {
    // The published client, from the same sources as its package.
    alias: { 'cc-executor/client': fileURLToPath(new URL('../client/open-client.ts', import.meta.url)) },
  },
  build: {
    target: 'es2023',
    // The policy of the page lets no data: address in but images; a file is a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1_000,
  },
})
