import { describe, expect, it } from 'vitest'
import { markdownRenderer } from './markdown'

const render = await markdownRenderer()
const html = (text: string): string => render(text).join('')

describe('Markdown', () => {
  it('is rendered, block by block', () => {
    expect(render('# A\n\n**b** and `c`\n\n- d\n- e')).toEqual([
      '<h1>A</h1>\n',
      '<p><strong>b</strong> and <code>c</code></p>\n',
      '<ul>\n<li>d</li>\n<li>e</li>\n</ul>\n',
    ])
    expect(html('| a |\n|---|\n| b |')).toContain('<td>b</td>')
  })

  it.each([
    '<script>alert(1)</script>',
    '<img src=x onerror=alert(1)>',
    'a <b onclick=alert(1)>b</b>',
    '<svg/onload=alert(1)>',
    '[a](javascript:alert(1))',
    '[a](JAVASCRIPT:alert(1))',
    '[a](&#106;avascript:alert(1))',
    '[a](vbscript:x)',
    '[a](data:text/html,<script>alert(1)</script>)',
    '![a](https://elsewhere.example/?secret)',
    '<https://a.example/"onmouseover="alert(1)>',
    '```html"><script>alert(1)</script>\n<script>\n```',
    '[a]: javascript:alert(1)\n\n[a]',
    '| <img src=x onerror=alert(1)> |\n|---|',
  ])('lets nothing active through: %s', (text) => {
    const box = document.createElement('div')
    box.innerHTML = html(text)
    expect(box.querySelectorAll('script, img, svg, b, iframe, object')).toHaveLength(0)
    for (const element of box.querySelectorAll('*'))
      for (const { name, value } of element.attributes) {
        expect(name).not.toMatch(/^on/)
        if (name === 'href') expect(value).toMatch(/^https?:/)
      }
  })

  it('opens links elsewhere, and tells them nothing', () => {
    expect(html('[a](https://a.example)')).toContain('target="_blank" rel="noopener noreferrer nofollow"')
  })
})
