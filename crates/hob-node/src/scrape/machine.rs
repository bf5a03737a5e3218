//! How busy the node's process and its async runtime are.
//!
//! **How.** What Prometheus knows by its own names (`process_…`) has them, so that dashboards made for any program
//! work. What `/proc` does not tell is left out.

use crate::telemetry::meter::{Kind, Metric};
use std::fs::{read_dir, read_to_string};
use tokio::runtime::Handle;

/// Ticks in a second in which `/proc` counts processor time: `USER_HZ` is 100 wherever Hob runs.
const TICKS: f64 = 100.0;

/// Of this process; `started_ms` is when the node began to count.
pub(super) fn metrics(started_ms: u64) -> Vec<Metric> {
    let gauge = |name, unit, help| Metric::new(name, Kind::Gauge, unit, help);
    let status = read_to_string("/proc/self/status").unwrap_or_default();
    let stat = read_to_string("/proc/self/stat").unwrap_or_default();
    let limits = read_to_string("/proc/self/limits").unwrap_or_default();
    let files = read_dir("/proc/self/fd").ok().map(|files| number(files.count()));
    let told = [
        (
            Metric::new(
                "process_cpu_seconds",
                Kind::Counter,
                "seconds",
                "Processor time of the node, guests in it included",
            ),
            cpu_seconds(&stat),
        ),
        (
            gauge(
                "process_resident_memory_bytes",
                "bytes",
                "Resident memory of the node, guests in it included",
            ),
            kib(&status, "VmRSS:"),
        ),
        (gauge("process_open_fds", "", "Open file descriptors of the node"), files),
        (gauge("process_max_fds", "", "File descriptors that the node may have"), open_files_max(&limits)),
        (
            gauge(
                "process_start_time_seconds",
                "seconds",
                "When the node began, seconds since the Unix epoch",
            ),
            Some(seconds(started_ms)),
        ),
    ];
    let mut all: Vec<Metric> =
        told.into_iter().filter_map(|(metric, value)| Some(metric.with([], value?))).collect();
    if let Ok(runtime) = Handle::try_current() {
        let runtime = runtime.metrics();
        let busy = (0..runtime.num_workers()).map(|worker| runtime.worker_total_busy_duration(worker));
        all.extend([
            gauge("hob_workers", "", "Threads that run the node's tasks")
                .with([], number(runtime.num_workers())),
            Metric::new(
                "hob_workers_busy_seconds",
                Kind::Counter,
                "seconds",
                "Time in which these threads were busy, all together",
            )
            .with([], busy.map(|time| time.as_secs_f64()).sum()),
            gauge("hob_tasks", "", "Tasks that are alive").with([], number(runtime.num_alive_tasks())),
            gauge("hob_tasks_queued", "", "Tasks that wait for a thread")
                .with([], number(runtime.global_queue_depth())),
        ]);
    }
    all
}

/// User and system time: the 14th and 15th field, after a name that may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let (user, system): (f64, f64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((user + system) / TICKS)
}

fn kib(status: &str, field: &str) -> Option<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    Some(value.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

fn open_files_max(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn number(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "a metric is a floating point number")]
fn seconds(time_ms: u64) -> f64 {
    time_ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, kib, open_files_max};

    #[test]
    fn what_the_kernel_writes_is_read() {
        let stat = "7 (a) b) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 9 9 20 0 1 0 5 6 7";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(kib("VmHWM:\t 9 kB\nVmRSS:\t   12 kB\n", "VmRSS:"), Some(12288.0));
        let limits = "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n";
        assert_eq!(open_files_max(limits), Some(1024.0));
        assert_eq!((cpu_seconds(""), kib("", "VmRSS:"), open_files_max("")), (None, None, None));
    }
}
