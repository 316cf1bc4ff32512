import { ref } from 'vue'

/** Prefix of the document title; usually empty. */
export const titlePrefix = ref('')
