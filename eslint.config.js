import vue from 'eslint-plugin-vue'
import { defineConfig } from 'eslint/config'
import ts from 'typescript-eslint'

/** The rooms of docs/architecture.md and the doors between them: `may` lists what files may import. */
const doors = [
  { files: ['shared/**'], may: ['./'], because: 'shared/ imports nothing from outside.' },
  {
    files: ['server/sse/**'],
    may: ['node:', './'],
    because: 'server/sse/ is copied alone: it imports Node and nothing else.',
  },
  {
    files: ['server/sse/encode.ts', 'server/sse/emitterOptions.ts', 'server/sse/sink.ts'],
    may: [],
    because: 'The base of everything else is pure.',
  },
  {
    files: ['server/sse/emitter.ts', 'server/sse/iterate.ts'],
    may: ['./emitter.js$', './emitterOptions.js$', './encode.js$', './iterate.js$', './sink.js$'],
    because: 'The emitter knows the contract of a sink, and no sink.',
  },
  {
    files: ['server/sse/nodeSink.ts', 'server/sse/webSink.ts'],
    may: ['node:', './sink.js$'],
    because: 'A sink knows bytes, and no events.',
  },
  {
    files: ['server/sse/eventLog.ts'],
    may: ['./encode.js$'],
    because: 'Within sse/: hub -> eventLog -> encode.',
  },
  {
    files: ['server/sse/ring.ts', 'server/sse/shares.ts'],
    may: [],
    because: 'ring.ts and shares.ts know nothing of events.',
  },
  {
    files: ['server/sse/memoryEventLog.ts', 'server/sse/epoch.ts'],
    may: ['node:', './encode.js$', './epoch.js$', './eventLog.js$', './ring.js$', './shares.js$'],
    because: 'Within sse/: memoryEventLog -> epoch -> eventLog -> encode.',
  },
  {
    files: ['server/sse/hub.ts', 'server/sse/channel.ts', 'server/sse/reads.ts'],
    may: ['node:', './channel.js$', './encode.js$', './emitter.js$', './eventLog.js$', './reads.js$'],
    because: 'The hub knows the contract of a log, and no log.',
  },
  {
    files: ['server/demos/**'],
    may: ['node:', 'express$', './schedule$', '../sse/', '../httpError$', '../params$', '../../shared/'],
    because: 'A demo of the server uses sse/, shared/ and what reads a request, and no other demo.',
  },
  {
    files: ['server/store/**'],
    may: ['node:', '@libsql/client$', './', '../sse/'],
    because: 'The store knows the database and the hub, and no demo.',
  },
  ...['live', 'inbox', 'todos', 'answer'].flatMap((name) => [
    {
      files: [`server/demos/${name}.ts`],
      may: ['node:', 'express$', `./${name}/`, '../sse/', '../store/', '../httpError$', '../params$', '../../shared/'],
      because: 'A demo with more than one noun has a folder of its own.',
    },
    {
      files: [`server/demos/${name}/**`],
      may: ['node:', 'eventsource-parser$', './', '../../sse/', '../../store/', '../../httpError$', '../../../shared/'],
      because: 'A demo of the server uses sse/, store/, shared/, and no other demo.',
    },
  ]),
  {
    files: ['server/demos/comparison.ts'],
    may: ['express$', './comparison/', '../sse/', '../httpError$', '../params$', '../../shared/'],
    because: 'The comparison has a folder of its own.',
  },
  {
    files: ['server/demos/comparison/**'],
    may: [
      'node:',
      'express$',
      'ws$',
      './',
      '../../sse/',
      '../../handshake$',
      '../../httpError$',
      '../../params$',
      '../../sameOrigin$',
      '../../../shared/',
    ],
    because: 'A demo of the server uses sse/, shared/ and what reads a request, and no other demo.',
  },
  {
    files: ['client/composables/useEventSource.ts'],
    may: ['vue$'],
    because: 'useEventSource.ts is copied alone: it imports vue and nothing else.',
  },
  {
    files: ['client/composables/fetchTransport.ts'],
    may: ['eventsource-parser$', './useEventSource$'],
    because: 'fetchTransport.ts is copied beside useEventSource.ts, and needs one package.',
  },
  {
    files: ['client/composables/sharedTransport.ts'],
    may: ['./useEventSource$'],
    because: 'sharedTransport.ts is copied beside useEventSource.ts, and needs nothing else.',
  },
  {
    files: ['plugins/**'],
    may: ['node:', 'vite$', 'shiki/', './', '../client/site/code$'],
    because: 'A plugin prepares shown and served files. It knows no demo, and only the shape of the page’s data.',
  },
  {
    files: ['client/site/**'],
    may: ['vue$', 'vue-router$', 'uplot', './', '../composables/', '../../composables/', '../../shared/pages$'],
    because: 'The frame is used by all demos and knows none of them.',
  },
  {
    files: ['client/demos/**'],
    // The server's demos only as text, to be shown: the compiler refuses them as code.
    may: [
      'vue$',
      'vue-router$',
      'eventsource-parser$',
      'uplot$',
      'markdown-it$',
      './',
      '../../site/',
      '../../composables/',
      '@/composables/',
      '../../../shared/',
      '../../../server/demos/',
      '../../../server/example',
      '../../Example.vue',
      '../../example.vite.config',
    ],
    because: 'A demo of the client uses site/, composables/ and shared/, and no other demo.',
  },
]

export default defineConfig(
  { ignores: ['dist/', 'node_modules/', 'test-results/', 'playwright-report/'] },
  ts.configs.strictTypeChecked,
  ts.configs.stylisticTypeChecked,
  vue.configs['flat/recommended'],
  {
    languageOptions: {
      parserOptions: {
        project: ['shared/tsconfig.json', 'server/tsconfig.json', 'client/tsconfig.json', 'e2e/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
        extraFileExtensions: ['.vue'],
        parser: ts.parser,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-restricted-syntax': [
        'error',
        { selector: 'ExportAllDeclaration', message: 'No barrels: import from the file.' },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/consistent-type-definitions': 'off',
      // Refuses types without members, such as "no decoders at all".
      '@typescript-eslint/no-generated-empty-object-type': 'off',
      // Isolated declarations need some of the types that this rule calls superfluous.
      '@typescript-eslint/no-inferrable-types': 'off',
      '@typescript-eslint/prefer-nullish-coalescing': ['error', { ignorePrimitives: { string: true, boolean: true } }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ['**/*.vue'],
    rules: {
      // Prettier's.
      'vue/html-self-closing': 'off',
      'vue/max-attributes-per-line': 'off',
      'vue/singleline-html-element-content-newline': 'off',
      'vue/html-indent': 'off',
      'vue/html-closing-bracket-newline': 'off',
      'vue/multi-word-component-names': 'off',
    },
  },
  { files: ['**/*.js'], extends: [ts.configs.disableTypeChecked] },
  doors.map(({ files, may, because }) => ({
    files,
    ignores: ['**/*.test.ts'],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: may.length ? `^(?!${may.map((start) => start.replaceAll('.', '\\.')).join('|')})` : '.',
              message: because,
            },
          ],
        },
      ],
    },
  })),
)
