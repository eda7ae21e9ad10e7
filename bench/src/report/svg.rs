//! A chart: cost over size, a small one for each operation, a line for each kind.

use std::error::Error;
use std::path::Path;

use plotters::coord::Shift;
use plotters::prelude::{
    BLACK, ChartBuilder, Circle, Color, DrawingArea, DrawingBackend, IntoDrawingArea, IntoFont, IntoLogRange,
    LineSeries, PathElement, RGBColor, SVGBackend, SeriesLabelPosition, WHITE,
};

use super::Report;
use super::units::{show, time};
use crate::operation::{Figure, Line, Operation};
use crate::subject::Kind;

const ACROSS: usize = 4;
const DOWN: usize = 4;
const WIDTH: u32 = 400;
const HEIGHT: u32 = 300;

/// What is shown.
const LINES: [Line; ACROSS * DOWN] = [
    (Operation::Create, Figure::Stored),
    (Operation::JoinFresh, Figure::Stored),
    (Operation::JoinFull, Figure::Stored),
    (Operation::CommitFresh, Figure::Stored),
    (Operation::Commit, Figure::Stored),
    (Operation::Receive, Figure::Stored),
    (Operation::Add, Figure::Stored),
    (Operation::Remove, Figure::Stored),
    (Operation::Encrypt32, Figure::Stored),
    (Operation::Decrypt32, Figure::Stored),
    (Operation::Open, Figure::Stored),
    (Operation::Backlog, Figure::Stored),
    (Operation::Commit, Figure::Bytes),
    (Operation::Receive, Figure::Bytes),
    (Operation::Encrypt32, Figure::Bytes),
    (Operation::Member, Figure::Resident),
];

/// Draws into a file.
///
/// # Errors
/// Those of the file system.
pub fn draw(report: &Report, path: &Path) -> Result<(), Box<dyn Error>> {
    let size = (WIDTH * u32::try_from(ACROSS)?, HEIGHT * u32::try_from(DOWN)?);
    let mut text = String::new();
    {
        let root = SVGBackend::with_string(&mut text, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (area, line) in root.split_evenly((DOWN, ACROSS)).iter().zip(LINES) {
            if let Err(error) = draw_line(report, area, line) {
                return Err(error.to_string().into());
            }
        }
        root.present()?;
    }
    std::fs::write(path, text)?;
    Ok(())
}

fn draw_line<'a, B>(report: &Report, area: &DrawingArea<B, Shift>, line: Line) -> Result<(), Box<dyn Error + 'a>>
where
    B: DrawingBackend,
    B::ErrorType: 'a,
{
    let (operation, figure) = line;
    let series = Kind::ALL.map(|kind| (kind, points(report, kind, line)));
    let values = || series.iter().flat_map(|(_, points)| points.iter());
    let fold = |choose: fn(f64, f64) -> f64, of: fn(&(f64, f64)) -> f64| values().map(of).reduce(choose);
    let (Some(low), Some(high)) = (fold(f64::min, |point| point.1), fold(f64::max, |point| point.1)) else {
        return Ok(());
    };
    let largest = report.measured.last().map_or(10.0, |measured| f64::from(measured.members).max(10.0));
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: {}", operation.name(), figure.name()), ("sans-serif", 16).into_font())
        .margin(8)
        .margin_right(36)
        .x_label_area_size(28)
        .y_label_area_size(60)
        .build_cartesian_2d((2.0..largest).log_scale(), (low * 0.7..high * 1.5).log_scale())?;
    let y_label = |value: &f64| if figure.is_time() { time(*value) } else { show(figure, *value) };
    chart
        .configure_mesh()
        .max_light_lines(0)
        .bold_line_style(BLACK.mix(0.12))
        .x_labels(6)
        .y_labels(6)
        .x_label_formatter(&|members| format!("{members:.0}"))
        .y_label_formatter(&y_label)
        .draw()?;
    for (kind, points) in series.into_iter().filter(|(_, points)| !points.is_empty()) {
        let color = color(kind);
        chart.draw_series(points.iter().map(|point| Circle::new(*point, 2, color.filled())))?;
        chart
            .draw_series(LineSeries::new(points, color.stroke_width(if kind == Kind::KeyroomAwsLc { 3 } else { 1 })))?
            .label(kind.name())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 12, y)], color));
    }
    if line == LINES[0] {
        chart.configure_series_labels().position(SeriesLabelPosition::UpperLeft).draw()?;
    }
    Ok(())
}

/// Sizes and medians.
fn points(report: &Report, kind: Kind, line: Line) -> Vec<(f64, f64)> {
    let measured = report.measured.iter().filter_map(|measured| {
        let median = measured.samples.get(&kind)?.median(line)?;
        Some((f64::from(measured.members), median))
    });
    measured.filter(|(_, median)| *median > 0.0).collect()
}

fn color(kind: Kind) -> RGBColor {
    match kind {
        Kind::KeyroomAwsLc => RGBColor(0, 90, 181),
        Kind::KeyroomRustCrypto => RGBColor(90, 170, 230),
        Kind::MlsRsAwsLc => RGBColor(214, 96, 0),
        Kind::MlsRsRustCrypto => RGBColor(240, 170, 80),
        Kind::OpenMlsRustCrypto => RGBColor(30, 130, 60),
        Kind::OpenMlsLibcrux => RGBColor(130, 190, 110),
    }
}
