import { ref } from 'vue'

/** What stands in front of the page's name in the title of the tab; else empty. */
export const titlePrefix = ref('')
