//! One self-contained HTML page: texts, tables and pictures, light and dark, without any script.

use std::fmt::Write;
use std::io;
use std::path::Path;

use fer_models::write_atomic;

use super::canvas::escape;
use super::svg::Svg;

/// Pictures are drawn on white; at night they are turned inside out, but for the hues and the faces.
const STYLE: &str = "
:root { color-scheme: light dark; }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem; line-height: 1.5;
  font-family: system-ui, 'DejaVu Sans', sans-serif; color: #1a1a1a; background: #ffffff; }
h1, h2 { line-height: 1.2; }
figure { margin: 1.5rem 0; overflow-x: auto; }
figure svg { max-width: 100%; height: auto; }
figcaption, .muted { color: #555555; }
table { border-collapse: collapse; }
th, td { padding: .2rem .8rem .2rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; border-bottom: 1px solid #bbbbbb; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { overflow-x: auto; padding: .6rem; background: #f2f2f2; }
@media (prefers-color-scheme: dark) {
  body { color: #e6e6e6; background: #1a1a1a; }
  figcaption, .muted { color: #b0b0b0; }
  pre { background: #2a2a2a; }
  figure svg { filter: invert(.9) hue-rotate(180deg); }
  figure svg image { filter: invert(1) hue-rotate(180deg); }
}
@media print { body { color: #000000; background: #ffffff; } figure { break-inside: avoid; } }
";

/// A page being written.
#[derive(Clone, Debug)]
pub struct Page {
    title: String,
    body: String,
}

impl Page {
    /// A page with its title as the first heading.
    pub fn new(title: &str) -> Self {
        let mut page = Self {
            title: escape(title),
            body: String::new(),
        };
        page.push(format_args!("<h1>{}</h1>", escape(title)));
        page
    }

    /// A heading of the second level.
    pub fn heading(&mut self, text: &str) {
        self.push(format_args!("<h2>{}</h2>", escape(text)));
    }

    /// A paragraph.
    pub fn paragraph(&mut self, text: &str) {
        self.push(format_args!("<p>{}</p>", escape(text)));
    }

    /// Text as it would stand in a terminal.
    pub fn preformatted(&mut self, text: &str) {
        // line breaks are control characters, which `escape` replaces
        let lines: Vec<String> = text.lines().map(escape).collect();
        self.push(format_args!("<pre>{}</pre>", lines.join("\n")));
    }

    /// A table; all columns but the first hold numbers where `numbers` says so.
    pub fn table(&mut self, head: &[&str], rows: &[Vec<String>], numbers: bool) {
        let class = |i: usize| {
            if numbers && i > 0 {
                " class=\"number\""
            } else {
                ""
            }
        };
        let mut text = String::from("<table>");
        if !head.is_empty() {
            text.push_str("<tr>");
            for (i, cell) in head.iter().enumerate() {
                // a String takes any text
                let _ = write!(text, "<th{}>{}</th>", class(i), escape(cell));
            }
            text.push_str("</tr>");
        }
        for row in rows {
            text.push_str("<tr>");
            for (i, cell) in row.iter().enumerate() {
                let _ = write!(text, "<td{}>{}</td>", class(i), escape(cell));
            }
            text.push_str("</tr>\n");
        }
        self.push(format_args!("{text}</table>"));
    }

    /// A picture, which stays sharp at any size.
    pub fn figure(&mut self, picture: &Svg, caption: &str) {
        let (picture, caption) = (picture.as_str(), escape(caption));
        self.push(format_args!(
            "<figure>{picture}<figcaption>{caption}</figcaption></figure>"
        ));
    }

    /// The HTML document. Its policy forbids it to load or run anything.
    pub fn html(&self) -> String {
        let Self { title, body } = self;
        format!(
            "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">
<title>{title}</title>
<style>{STYLE}</style>
</head>
<body>
{body}</body>
</html>
"
        )
    }

    /// Writes the document; the file appears whole or not at all.
    ///
    /// # Errors
    /// The file could not be written; the error names it.
    pub fn save(&self, path: &Path) -> io::Result<()> {
        write_atomic(path, |out| out.write_all(self.html().as_bytes()))
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // a String takes any text
        let _ = writeln!(self.body, "{element}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_can_become_markup() {
        let mut page = Page::new("<script>");
        page.heading("a & b");
        page.paragraph("</p><img src=x>");
        page.preformatted("one <b>\ntwo");
        page.table(&["<th>"], &[vec!["<td>".into(), "1".into()]], true);
        let html = page.html();
        for markup in ["<script", "<img", "<b>", "<td><td>", "<th><th>"] {
            assert!(!html.contains(markup), "{markup}: {html}");
        }
        assert!(html.contains("<title>&lt;script&gt;</title>"));
        assert!(html.contains("<pre>one &lt;b&gt;\ntwo</pre>"));
        assert!(html.contains("<td class=\"number\">1</td>"));
    }
}
