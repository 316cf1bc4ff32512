import './site/style.css'
import { createApp } from 'vue'
import App from './App.vue'
import { router } from './router'
import { preferredLanguage, speak } from './site/i18n'

// The page's chunk and the texts load in parallel. The first render is complete, so nothing jumps.
const app = createApp(App).use(router)
await Promise.all([speak(preferredLanguage()), router.isReady()])
app.mount('#app')
