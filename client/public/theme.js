// Loaded before anything is painted, so that no page flashes in the wrong colours. A file of its own, because the content security policy
// refuses inline scripts. What is chosen later: client/site/useTheme.ts.
try {
  const theme = new URLSearchParams(location.search).get('theme') ?? localStorage.getItem('theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage may be forbidden. The theme is then the system's.
}
