import Markdown, { type Components } from 'react-markdown'
import remarkGfm from 'remark-gfm'

const PLUGINS = [remarkGfm]
/** No picture of another host is loaded, and no link keeps a hold on this page. */
const COMPONENTS: Components = {
  a: ({ href, children }) => (
    <a href={href} target="_blank" rel="noopener noreferrer nofollow">
      {children}
    </a>
  ),
  img: ({ src, alt }) => <span className="muted">[picture: {alt || String(src)}]</span>,
  table: ({ children }) => (
    <div className="table-scroll" tabIndex={0}>
      <table>{children}</table>
    </div>
  ),
  pre: ({ children }) => <pre tabIndex={0}>{children}</pre>,
}

/** What a model writes: HTML in it is shown as text. */
export const MarkdownText = ({ text }: { readonly text: string }) => (
  <Markdown remarkPlugins={PLUGINS} components={COMPONENTS}>
    {text}
  </Markdown>
)
