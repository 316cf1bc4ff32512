/**
 * Renders Markdown that nobody here has written: HTML in it is text, images are not loaded, and a link is one to http, https or mail.
 *
 * Returns one piece of HTML for each block, so that blocks which are complete are not drawn again with every word.
 */
export async function markdownRenderer(): Promise<(text: string) => string[]> {
  const { default: Markdown } = await import('markdown-it')
  const markdown = new Markdown({ html: false, linkify: false, breaks: false }).disable('image')
  markdown.validateLink = (url) => /^(https?:|mailto:)/i.test(url.trim())
  const { renderer } = markdown
  renderer.rules['link_open'] = (tokens, index, options) => {
    tokens[index]?.attrSet('target', '_blank')
    tokens[index]?.attrSet('rel', 'noopener noreferrer nofollow')
    return renderer.renderToken(tokens, index, options)
  }
  return (text) => {
    const env = {}
    const blocks: ReturnType<typeof markdown.parse>[] = []
    let depth = 0
    for (const token of markdown.parse(text, env)) {
      if (depth === 0) blocks.push([])
      blocks.at(-1)?.push(token)
      depth += token.nesting
    }
    return blocks.map((tokens) => renderer.render(tokens, markdown.options, env))
  }
}
