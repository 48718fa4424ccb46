//! Plots, as SVG.

use plotters::prelude::*;

const SIZE: (u32, u32) = (900, 500);
/// Any viewer has one of these.
const FONT: &str = "sans-serif";

/// A line of a plot.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
    pub(crate) color: RGBColor,
    /// Lines of one kind differ in width.
    pub(crate) width: u32,
    /// Whether the points themselves are shown.
    pub(crate) marks: bool,
}

/// What a plot shows.
#[derive(Clone, Debug)]
pub(crate) struct Plot<'a> {
    pub(crate) title: &'a str,
    pub(crate) x: &'a str,
    pub(crate) y: &'a str,
    pub(crate) x_range: (f64, f64),
    pub(crate) y_range: (f64, f64),
    pub(crate) lines: Vec<Line>,
}

pub(crate) const COLD: RGBColor = RGBColor(31, 90, 166);
pub(crate) const WARM: RGBColor = RGBColor(209, 92, 28);
pub(crate) const OTHER: RGBColor = RGBColor(46, 125, 50);
pub(crate) const FOURTH: RGBColor = RGBColor(120, 60, 150);

/// Draws with logarithmic axes. A macro's work: the two kinds of axes are different types.
macro_rules! draw {
    ($plot:expr, $x:expr, $y:expr, $legend:expr) => {{
        let mut svg = String::new();
        {
            let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
            area.fill(&WHITE)?;
            let mut chart = ChartBuilder::on(&area)
                .caption($plot.title, (FONT, 20))
                .margin(16)
                .margin_right(48)
                .x_label_area_size(52)
                .y_label_area_size(80)
                .build_cartesian_2d($x, $y)?;
            chart
                .configure_mesh()
                .light_line_style(WHITE)
                .bold_line_style(RGBColor(225, 225, 225))
                .x_desc($plot.x)
                .y_desc($plot.y)
                .axis_desc_style((FONT, 15))
                .label_style((FONT, 14))
                .x_label_formatter(&|x| number(*x))
                .y_label_formatter(&|y| number(*y))
                .draw()?;
            for line in &$plot.lines {
                let style = line.color.stroke_width(line.width);
                chart
                    .draw_series(LineSeries::new(line.points.iter().copied(), style))?
                    .label(&line.name)
                    .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 24, y)], style));
                if line.marks {
                    let mark = |point: &(f64, f64)| Circle::new(*point, 3, line.color.filled());
                    chart.draw_series(line.points.iter().map(mark))?;
                }
            }
            chart
                .configure_series_labels()
                .position($legend)
                .background_style(WHITE.mix(0.9))
                .border_style(RGBColor(180, 180, 180))
                .label_font((FONT, 14))
                .draw()?;
            area.present()?;
        }
        svg.push('\n');
        Ok(svg)
    }};
}

/// Both axes are logarithmic.
pub(crate) fn logarithmic(plot: &Plot<'_>) -> anyhow::Result<String> {
    let (x, y) = (plot.x_range, plot.y_range);
    draw!(
        plot,
        (x.0..x.1).log_scale(),
        (y.0..y.1).log_scale(),
        SeriesLabelPosition::UpperLeft
    )
}

/// Both axes are linear.
pub(crate) fn linear(plot: &Plot<'_>) -> anyhow::Result<String> {
    let (x, y) = (plot.x_range, plot.y_range);
    draw!(plot, x.0..x.1, y.0..y.1, SeriesLabelPosition::LowerRight)
}

/// A number as it is written on an axis.
fn number(number: f64) -> String {
    #[allow(clippy::cast_possible_truncation)]
    let whole = number.round() as i64;
    if whole >= 1_000_000 && whole % 100_000 == 0 {
        format!("{} million", number / 1e6)
    } else if whole >= 1_000 {
        tooling::thousands(u64::try_from(whole).unwrap_or_default())
    } else {
        format!("{number:.3}")
            .trim_end_matches('0')
            .trim_end_matches('.')
            .to_owned()
    }
}
