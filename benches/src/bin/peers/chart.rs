//! Bar charts, as SVG that needs nothing.

use std::fmt::Write;

/// One bar, with a line from `low` to `high`.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    pub(crate) name: &'static str,
    pub(crate) low: f64,
    pub(crate) value: f64,
    pub(crate) high: f64,
}

const WIDTH: f64 = 760.0;
const LEFT: f64 = 130.0;
const RIGHT: f64 = 80.0;
const ROW: f64 = 20.0;
const HEADING: f64 = 34.0;

/// Horizontal bars in groups, each group with a scale of its own.
pub(crate) fn bars(title: &str, groups: &[(&str, Vec<Bar>)]) -> String {
    let rows: usize = groups.iter().map(|(_, bars)| bars.len()).sum();
    let height = HEADING * (groups.len() as f64 + 1.0) + ROW * rows as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n<text x=\"8\" y=\"22\" font-size=\"15\" font-weight=\"bold\">{title}</text>\n"
    );
    let mut y = HEADING;
    for (name, bars) in groups {
        let most = bars.iter().map(|bar| bar.high).fold(f64::MIN_POSITIVE, f64::max);
        let x = |value: f64| LEFT + value / most * (WIDTH - LEFT - RIGHT);
        // Writing to a string does not fail.
        let _ = writeln!(svg, "<text x=\"8\" y=\"{}\" font-weight=\"bold\">{name}</text>", y + 22.0);
        y += HEADING;
        for bar in bars {
            let Bar { name, low, value, high } = bar;
            let colour = if *name == super::client::MILENA { "#c2410c" } else { "#94a3b8" };
            let (end, middle) = (x(*value), y + ROW / 2.0);
            let _ = writeln!(
                svg,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
                 <rect x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{colour}\"/>\
                 <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle}\" y2=\"{middle}\" stroke=\"#111\"/>\
                 <text x=\"{:.1}\" y=\"{}\">{value:.2}</text>",
                LEFT - 8.0,
                middle + 4.5,
                y + 2.0,
                end - LEFT,
                ROW - 4.0,
                x(*low),
                x(*high),
                x(*high) + 6.0,
                middle + 4.5,
            );
            y += ROW;
        }
    }
    svg + "</svg>\n"
}
