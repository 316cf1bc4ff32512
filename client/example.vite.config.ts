import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [vue()],
  server: {
    proxy: {
      '/sse': {
        target: 'http://localhost:3000',
        // Without this, a page whose server has crashed keeps its connection to Vite, and never reconnects.
        configure: (proxy) => {
          proxy.on('proxyRes', (answer, _req, res) => answer.on('close', () => answer.complete || res.destroy()))
        },
      },
    },
  },
})
