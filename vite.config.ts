/// <reference types="vitest/config" />
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'
import { code } from './plugins/code.ts'
import { compress } from './plugins/compress.ts'
import { registry } from './plugins/registry.ts'

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url))

export default defineConfig(({ isSsrBuild }) => ({
  root: path('./client'),
  cacheDir: path('./node_modules/.vite'),
  plugins: [vue(), code(path('./'), path('./node_modules/.cache/code')), registry(path('./')), compress()],
  // Only the examples use `@`: copied into another Vue project, where `@` is the source folder, their imports still work.
  resolve: { alias: { '@': path('./client') } },
  // A dependency found later would reload the page in the middle of a stream.
  optimizeDeps: { include: ['vue', 'vue-router', 'uplot'] },
  // Features of Vue that the page does not use.
  define: isSsrBuild ? {} : { __VUE_OPTIONS_API__: 'false' },
  build: {
    outDir: path(isSsrBuild ? './dist/server' : './dist/client'),
    emptyOutDir: true,
    copyPublicDir: !isSsrBuild,
    // On a busy machine, this would be the first thing that npm start prints.
    rolldownOptions: {
      checks: { bundlerTimings: false },
      // Everything that all pages need is in two files instead of twenty.
      ...(isSsrBuild
        ? {}
        : {
            output: {
              codeSplitting: {
                groups: [
                  { name: 'vue', test: /node_modules.(@vue|vue|vue-router)\b/ },
                  { name: 'site', test: /client.(site.(?!locales|NotFound|usePlot)|composables.useEventSource\.ts$)/ },
                ],
              },
            },
          }),
    },
  },
  test: {
    root: path('./'),
    // Most tests wait most of the time.
    maxWorkers: 2 * availableParallelism(),
    projects: [
      {
        extends: true,
        test: {
          name: 'server',
          include: ['{docs,plugins,server,shared}/**/*.test.ts'],
          globalSetup: path('./server/testingSetup.ts'),
        },
      },
      { extends: true, test: { name: 'client', include: ['client/**/*.test.ts'], environment: 'happy-dom' } },
      {
        extends: true,
        resolve: { alias: { vue: 'vue-3.3' } },
        test: {
          name: 'vue 3.3',
          include: ['client/composables/useEventSource{,.userCode}.test.ts'],
          environment: 'happy-dom',
        },
      },
    ],
  },
}))
