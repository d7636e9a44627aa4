; JSX, where the grammar has it. Components are used by their opening tag.

(jsx_closing_element name: (_) @ignore)
