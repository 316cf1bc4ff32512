/** For tools that read only TypeScript, such as the linter; vue-tsc knows the real types. */
declare module '*.vue' {
  import type { Component } from 'vue'

  const component: Component
  export default component
}

/** Made by plugins/code.ts. */
declare module '*?code' {
  import type { Code } from './components/code'

  const code: Code
  export default code
}
