//! The table of `hob top`, for any width: what does not fit is left out, the least important column first.

use crate::output::shown::cut;
use crate::output::{Output, Style};
use hob_core::unit::show_bytes;
use hob_core::wire::{TopReport, TopRow, TopSort};

/// Columns that a name has at least before another column is shown.
const NAME_WIDTH_MIN: usize = 18;
/// Blanks between columns.
const GAP: usize = 2;

/// A column behind the name.
struct Column {
    title: &'static str,
    width: usize,
    /// Which orders it shows: its title is marked then, and it is never left out.
    orders: &'static [TopSort],
    /// The higher, the sooner it is left out.
    rank: u8,
    cell: fn(&TopRow) -> String,
}

/// All of them, in the order in which they stand.
const COLUMNS: [Column; 11] = [
    Column {
        title: "CALLS/S",
        width: 8,
        orders: &[TopSort::Rate],
        rank: 0,
        cell: |row| rate(row.load.calls_per_second),
    },
    Column {
        title: "ERR/S",
        width: 7,
        orders: &[TopSort::Errors],
        rank: 4,
        cell: |row| rate(row.load.failures_per_second),
    },
    Column { title: "P50", width: 7, orders: &[], rank: 6, cell: |row| latency(row.p50_ms) },
    Column { title: "P99", width: 7, orders: &[TopSort::Latency], rank: 1, cell: |row| latency(row.p99_ms) },
    Column {
        title: "INST",
        width: 4,
        orders: &[TopSort::Instances],
        rank: 2,
        cell: |row| count(row.load.instances),
    },
    Column { title: "RUN", width: 4, orders: &[], rank: 9, cell: |row| count(row.load.running) },
    Column {
        title: "WAIT",
        width: 4,
        orders: &[TopSort::Queue],
        rank: 5,
        cell: |row| count(row.load.waiting),
    },
    Column { title: "COLD/S", width: 6, orders: &[], rank: 10, cell: |row| rate(row.load.cold_per_second) },
    Column { title: "CPU", width: 6, orders: &[TopSort::Cpu], rank: 3, cell: |row| percent(row.load.cpu) },
    Column { title: "MEM", width: 9, orders: &[TopSort::Memory], rank: 7, cell: memory },
    Column { title: "COST/H", width: 9, orders: &[TopSort::Cost], rank: 8, cell: cost },
];

/// Columns of a report in a pipe without `-o wide`: those up to this rank.
const PIPED_RANK_MAX: u8 = 8;

/// How reports look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    style: Style,
}

/// What a row is of: `shop/cart`, and `shop/cart@3` for a revision that takes no new requests.
pub(super) fn name(row: &TopRow) -> String {
    let old = if row.current { String::new() } else { format!("@{}", row.revision) };
    format!("{}/{}{old}", row.app, row.function)
}

impl Layout {
    /// As the output's style says.
    pub(super) fn new(output: &Output) -> Self {
        Self { style: output.result_style() }
    }

    /// The whole screen of this width and height.
    pub(super) fn screen(
        self,
        report: &TopReport,
        order: TopSort,
        rows: Option<u32>,
        (width, height): (usize, usize),
    ) -> String {
        let columns = fitting(report, order, width);
        let taken: usize = columns.iter().map(|column| column.width + GAP).sum();
        let name_width = width.saturating_sub(taken).max(1);
        let keys = cut("r e l i w c m $ n order by, q quit", width);
        let mut lines = vec![cut(&head(report), width), cut(&sum(report), width), String::new()];
        lines.push(self.titles(&columns, order, name_width));
        let fit = height.saturating_sub(lines.len() + 2).max(1);
        let wanted = rows.map_or(fit, |rows| fit.min(rows as usize));
        lines.extend(report.rows.iter().take(wanted).map(|row| self.row(row, &columns, name_width)));
        let hidden = report.functions.saturating_sub(report.rows.len().min(wanted) as u64);
        lines.push(if hidden > 0 { cut(&format!("and {hidden} more"), width) } else { String::new() });
        lines.push(self.style.dim(&keys));
        lines.join("\n")
    }

    /// A report for a pipe: names whole, and every column where that is wanted.
    pub(super) fn piped(self, report: &TopReport, wide: bool) -> String {
        if report.rows.is_empty() {
            return String::new();
        }
        let shown = |column: &&Column| {
            (wide || column.rank <= PIPED_RANK_MAX) && (column.title != "COST/H" || report.currency.is_some())
        };
        let columns: Vec<&Column> = COLUMNS.iter().filter(shown).collect();
        let names = report.rows.iter().map(|row| name(row).chars().count());
        let width = names.max().unwrap_or_default().max("FUNCTION".len());
        let mut lines = vec![head(report), sum(report), String::new()];
        lines.push(self.titles(&columns, TopSort::Name, width));
        lines.extend(report.rows.iter().map(|row| self.row(row, &columns, width)));
        lines.join("\n")
    }

    fn titles(self, columns: &[&Column], order: TopSort, name_width: usize) -> String {
        let cell = |column: &&Column| {
            let marked = column.orders.contains(&order);
            let title = format!("{:>width$}", column.title, width = column.width + GAP);
            if marked { self.style.bold(&title) } else { self.style.dim(&title) }
        };
        let name = self.style.dim(&format!("{:name_width$}", cut("FUNCTION", name_width)));
        let cells: String = columns.iter().map(cell).collect();
        format!("{name}{cells}")
    }

    fn row(self, row: &TopRow, columns: &[&Column], name_width: usize) -> String {
        let name = format!("{:name_width$}", cut(&name(row), name_width));
        let idle = row.load.instances == 0 && row.load.calls_per_second == 0.0 && row.load.waiting == 0;
        let cell = |column: &&Column| {
            let text = format!("{:>width$}", (column.cell)(row), width = column.width + GAP);
            match column.title {
                "ERR/S" if row.load.failures_per_second > 0.0 => self.style.red(&text),
                "WAIT" if row.load.waiting > 0 => self.style.yellow(&text),
                _ => text,
            }
        };
        let cells: String = columns.iter().map(cell).collect();
        if idle { self.style.dim(&format!("{name}{cells}")) } else { format!("{name}{cells}") }
    }
}

/// The columns that fit beside a name, in their order.
fn fitting(report: &TopReport, order: TopSort, width: usize) -> Vec<&'static Column> {
    let known = |column: &&Column| column.title != "COST/H" || report.currency.is_some();
    let mut ranked: Vec<&Column> = COLUMNS.iter().filter(known).collect();
    ranked.sort_by_key(|column| (!column.orders.contains(&order), column.rank));
    let mut left = width.saturating_sub(NAME_WIDTH_MIN);
    let mut fit: Vec<&'static str> = Vec::new();
    for column in ranked {
        if left < column.width + GAP {
            break;
        }
        left -= column.width + GAP;
        fit.push(column.title);
    }
    COLUMNS.iter().filter(|column| fit.contains(&column.title)).collect()
}

fn head(report: &TopReport) -> String {
    let span = match report.span_ms {
        0 => "measuring".to_owned(),
        span_ms => format!("over {}.{} s", span_ms / 1000, span_ms % 1000 / 100),
    };
    let plural = if report.functions == 1 { "" } else { "s" };
    format!("{} function{plural}, {span}", report.functions)
}

fn sum(report: &TopReport) -> String {
    let total = &report.total;
    let mut parts = vec![
        format!("{} calls/s", rate(total.calls_per_second)),
        format!("{} errors/s", rate(total.failures_per_second)),
        format!("{} instance{}", total.instances, if total.instances == 1 { "" } else { "s" }),
        format!("{} waiting", total.waiting),
        format!("{} of {} processors", percent(total.cpu), report.cpus),
    ];
    parts.extend(total.memory_bytes.map(show_bytes));
    if let Some((cost, currency)) = total.cost_per_hour.zip(report.currency.as_ref()) {
        parts.push(format!("{} {currency}/h", cost.show()));
    }
    parts.join(", ")
}

/// With as many digits as say something.
fn rate(per_second: f64) -> String {
    match per_second {
        0.0 => "0".to_owned(),
        ..9.95 => format!("{per_second:.1}"),
        ..99_999.5 => format!("{per_second:.0}"),
        _ => format!("{:.0}k", per_second / 1000.0),
    }
}

fn latency(time_ms: Option<f64>) -> String {
    match time_ms {
        None => "-".to_owned(),
        Some(..0.9995) => format!("{:.0} us", time_ms.unwrap_or_default() * 1000.0),
        Some(time_ms @ ..9.95) => format!("{time_ms:.1} ms"),
        Some(time_ms @ ..9999.5) => format!("{time_ms:.0} ms"),
        Some(time_ms) => format!("{:.0} s", time_ms / 1000.0),
    }
}

fn count(number: u32) -> String {
    number.to_string()
}

/// Of one processor.
fn percent(cpu: f64) -> String {
    match cpu {
        0.0 => "0%".to_owned(),
        ..0.0995 => format!("{:.1}%", cpu * 100.0),
        _ => format!("{:.0}%", cpu * 100.0),
    }
}

/// What is resident, or what the instances may have where that is not known.
fn memory(row: &TopRow) -> String {
    match row.load.memory_bytes {
        Some(bytes) => show_bytes(bytes),
        None if row.load.instances == 0 => "-".to_owned(),
        None => format!("<{}", show_bytes(row.memory_bytes_max).replace(' ', "")),
    }
}

fn cost(row: &TopRow) -> String {
    row.load.cost_per_hour.map_or_else(|| "-".to_owned(), hob_core::cost::Money::show)
}

#[cfg(test)]
mod tests;
