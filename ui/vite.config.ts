// Owns how the page is built: plain files below dist/, addresses relative, nothing inline, so that the
// page runs under `default-src 'self'` and behind any path prefix. The mock is the API of `npm run dev`.
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { defineConfig } from 'vitest/config'

export default defineConfig({
  plugins: [svelte()],
  base: './',
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: false,
    reportCompressedSize: true,
    rolldownOptions: { output: { codeSplitting: false } },
  },
  server: { proxy: { '/api': process.env.TAFFRAIL_URL ?? 'http://127.0.0.1:8063' } },
  test: { include: ['src/**/*.test.ts'] },
})
