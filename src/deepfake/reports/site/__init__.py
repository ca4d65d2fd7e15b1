"""Building blocks of the site: pages, Markdown, tables, the glossary; they know no study."""
