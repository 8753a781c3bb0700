//! The mark that forbids a start: the file `refused` in the ledger's directory.
//!
//! After a failed sync, memory and disk may differ, and nobody can say where. After the network has
//! shown that the disk was rolled back, another start might find a peer that has forgotten what it saw; and what
//! was noticed because parts of the disk do not fit each other may go unnoticed once they do.
//! In both cases a supervisor that simply tries again makes matters worse, so that the host leaves a
//! mark, and starts again only when an operator has removed it.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::HostError;

/// Fails if `directory` bears the mark.
pub fn check(directory: &Path) -> Result<(), HostError> {
    let path = directory.join(NAME);
    match fs::read(&path) {
        Ok(text) => {
            let text = String::from_utf8_lossy(&text[..text.len().min(TEXT_BYTES_MAX)]).trim().to_owned();
            Err(HostError::StartForbidden { path, text })
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        // Something is there: better not to start than to start over a mark.
        Err(error) => Err(HostError::StartForbidden { path, text: format!("cannot be read: {error}") }),
    }
}

/// Leaves the mark if `error` is one after which the directory must not be started from again.
pub fn mark_if_final(directory: &Path, error: &HostError) {
    if !error.is_final() || matches!(error, HostError::StartForbidden { .. }) {
        return;
    }
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    let text = format!("{}  {error}{cause}\n", utc(SystemTime::now()));
    let path = directory.join(NAME);
    let write = || {
        // An earlier mark is kept: what happened first explains more.
        let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    if let Err(error) = write() {
        // On a disk that fails, this may fail too. The exit status says the same.
        tracing::error!(%error, file = %path.display(), "cannot leave the mark that forbids a start");
    }
}

/// Date and time as people and programs read them, to the second.
fn utc(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", civil_from_days: eras of 400 years that begin
    // on the 1st of March, so that the leap day is the last of its year.
    let day = days + 719_468;
    let (era, day_of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day_of_month:02}T{hour:02}:{minute:02}:{second:02}Z")
}

const NAME: &str = "refused";

/// How much of the mark is shown: an operator may have written more into it.
const TEXT_BYTES_MAX: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_mark_is_left_after_what_is_final_alone_and_forbids_a_start_until_it_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        check(path).unwrap();
        let harmless = HostError::AddressNotAvailable { address: "a:1".into(), source: ErrorKind::AddrInUse.into() };
        mark_if_final(path, &harmless);
        check(path).unwrap();
        mark_if_final(path, &HostError::SlotRefused { reason: "node 2 saw more".into() });
        let Err(error @ HostError::StartForbidden { .. }) = check(path) else { panic!("not refused") };
        let text = error.to_string();
        assert!(text.contains("node 2 saw more") && text.contains(&path.join(NAME).display().to_string()), "{text}");
        assert!(error.is_final());
        // What is refused because of the mark adds nothing to it.
        mark_if_final(path, &error);
        assert_eq!(fs::read_to_string(path.join(NAME)).unwrap().lines().count(), 1);
        fs::remove_file(path.join(NAME)).unwrap();
        check(path).unwrap();
    }

    #[test]
    fn a_mark_that_cannot_be_read_forbids_a_start_too() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(NAME)).unwrap();
        assert!(matches!(check(directory.path()), Err(HostError::StartForbidden { .. })));
    }

    #[test]
    fn seconds_are_told_as_a_date() {
        // From `date -u -d @SECONDS +%FT%TZ`.
        let rows = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, expected) in rows {
            assert_eq!(utc(UNIX_EPOCH + Duration::from_secs(seconds)), expected);
        }
    }
}
