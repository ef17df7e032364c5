//! The kiosk page, a part of the program.

/// Markup with a place for the notice.
const INDEX: &str = include_str!("kiosk/index.html");
/// The page's style.
pub const STYLE: &str = include_str!("kiosk/kiosk.css");
/// The page's script.
pub const SCRIPT: &str = include_str!("kiosk/kiosk.js");
/// The page's icon.
pub const ICON: &str = include_str!("kiosk/icon.svg");

/// The page with this notice, which is text and not markup.
#[must_use]
pub fn index(notice: &str) -> String {
    INDEX.replace("{{notice}}", &escaped(notice))
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_notice_is_text() {
        let page = index("<script>alert(\"&\")</script>");
        assert!(page.contains("&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;"));
        assert!(!page.contains("{{"));
    }

    #[test]
    fn the_page_names_nothing_elsewhere_and_has_no_inline_code() {
        // The namespace of SVG is a name, not an address.
        let icon = ICON.replace("http://www.w3.org/2000/svg", "");
        for part in [INDEX, STYLE, SCRIPT, &icon] {
            assert!(!part.contains("//www") && !part.contains("http:") && !part.contains("https:"));
            assert!(!part.contains("@import") && !part.contains("style=\""));
        }
        assert!(!INDEX.contains("<style") && !INDEX.contains("onclick"));
        assert_eq!(INDEX.matches("<script").count(), 1);
    }

    /// Relative luminance as WCAG 2 defines it, of `#rrggbb`.
    fn luminance(colour: &str) -> f64 {
        let channel = |at: usize| {
            let value = u8::from_str_radix(&colour[at..at + 2], 16).unwrap();
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
    }

    fn contrast(a: &str, b: &str) -> f64 {
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    /// The light and the dark value of a variable of the style.
    fn variable(name: &str) -> (String, String) {
        let value = STYLE
            .split_once(&format!("{name}: "))
            .and_then(|(_, rest)| rest.split_once(';'))
            .map(|(value, _)| value)
            .unwrap();
        let pair = value
            .strip_prefix("light-dark(")
            .and_then(|pair| pair.strip_suffix(')'))
            .and_then(|pair| pair.split_once(", "))
            .unwrap_or((value, value));
        (pair.0.to_owned(), pair.1.to_owned())
    }

    #[test]
    fn text_and_colours_stand_out_in_light_and_dark() {
        let background = variable("--back");
        let at_least = |name: &str, ratio: f64| {
            let colour = variable(name);
            for (colour, back) in [(&colour.0, &background.0), (&colour.1, &background.1)] {
                let found = contrast(colour, back);
                assert!(found >= ratio, "{name}: {colour} on {back}: {found:.2}");
            }
        };
        // WCAG 2.2: 7 for text (AAA), 3 for graphics.
        for text in ["--text", "--quiet", "--warn"] {
            at_least(text, 7.0);
        }
        (0..8).for_each(|i| at_least(&format!("--c{i}"), 3.0));
    }
}
