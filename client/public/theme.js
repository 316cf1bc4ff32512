// Loaded before the first paint, so that no page flashes in the wrong colours. A separate file, because the content security policy
// refuses inline scripts. Later changes: client/site/useTheme.ts.
try {
  const theme = new URLSearchParams(location.search).get('theme') ?? localStorage.getItem('theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage may be disabled. The theme is then the system's.
}
