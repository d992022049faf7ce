//! The calendar: days and clock readings to timestamps and back, in the proleptic Gregorian calendar.
//!
//! The day arithmetic is Howard Hinnant's `days_from_civil` (public domain, "chrono-Compatible Low-Level
//! Date Algorithms").

use crate::Timestamp;

/// A date and a time of day, without a zone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Civil {
    /// Year, 1678 to 2261 if it is to become a [`Timestamp`].
    pub year: i32,
    /// Month, 1 to 12.
    pub month: u8,
    /// Day of the month, from 1.
    pub day: u8,
    /// Hour, 0 to 23.
    pub hour: u8,
    /// Minute, 0 to 59.
    pub minute: u8,
    /// Second, 0 to 59.
    pub second: u8,
    /// Nanosecond, 0 to 999,999,999.
    pub nanosecond: u32,
}

impl Civil {
    /// Days from 1970-01-01 to this date.
    pub fn days(year: i32, month: u8, day: u8) -> i64 {
        let year = i64::from(year) - i64::from(month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let shifted_month = (i64::from(month) + 9) % 12;
        let day_of_year = (153 * shifted_month + 2) / 5 + i64::from(day) - 1;
        era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
    }

    /// Days in a month, leap years included.
    pub fn days_in_month(year: i32, month: u8) -> u8 {
        match month {
            2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
            2 => 28,
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }

    /// Whether every field is in its range (a leap second is not: its clock reading has no timestamp).
    pub fn is_valid(&self) -> bool {
        (1..=12).contains(&self.month)
            && self.day >= 1
            && self.day <= Self::days_in_month(self.year, self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
            && self.nanosecond < 1_000_000_000
    }

    /// The timestamp of this reading on a clock that is `offset_seconds` east of UTC; `None` if a field is
    /// out of its range or the year out of the timestamp's.
    pub fn to_timestamp(&self, offset_seconds: i32) -> Option<Timestamp> {
        if !self.is_valid() {
            return None;
        }
        let clock = i64::from(self.hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second);
        let seconds =
            Self::days(self.year, self.month, self.day) * 86_400 + clock - i64::from(offset_seconds);
        Timestamp::from_seconds(seconds, self.nanosecond)
    }

    /// What a clock `offset_seconds` east of UTC shows at `timestamp`.
    pub fn from_timestamp(timestamp: Timestamp, offset_seconds: i32) -> Self {
        let seconds = timestamp.0.div_euclid(Timestamp::SECOND) + i64::from(offset_seconds);
        let nanosecond = timestamp.0.rem_euclid(Timestamp::SECOND) as u32;
        let clock = seconds.rem_euclid(86_400);
        let shifted = seconds.div_euclid(86_400) + 719_468;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        Self {
            year: (year_of_era + era * 400 + i64::from(month <= 2)) as i32,
            month: month as u8,
            day: (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u8,
            hour: (clock / 3600) as u8,
            minute: (clock / 60 % 60) as u8,
            second: (clock % 60) as u8,
            nanosecond,
        }
    }

    /// Day of the week, 0 = Sunday.
    pub fn weekday(&self) -> u8 {
        (Self::days(self.year, self.month, self.day) + 4).rem_euclid(7) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_every_day_of_four_centuries() {
        let mut timestamp =
            Civil { year: 1700, month: 1, day: 1, hour: 23, minute: 59, second: 58, nanosecond: 7 }
                .to_timestamp(0)
                .unwrap();
        let mut weekday = 5; // 1700-01-01 was a Friday
        for _ in 0..146_097 {
            let civil = Civil::from_timestamp(timestamp, 3600);
            assert_eq!(civil.to_timestamp(3600), Some(timestamp));
            assert_eq!(Civil::from_timestamp(timestamp, 0).weekday(), weekday);
            timestamp = Timestamp(timestamp.0 + 86_400 * Timestamp::SECOND);
            weekday = (weekday + 1) % 7;
        }
    }

    #[test]
    fn refuses_what_no_calendar_shows() {
        let day = |year, month, day| Civil { year, month, day, hour: 0, minute: 0, second: 0, nanosecond: 0 };
        assert_eq!(day(2026, 2, 29).to_timestamp(0), None);
        assert!(day(2024, 2, 29).to_timestamp(0).is_some());
        assert_eq!(day(2026, 13, 1).to_timestamp(0), None);
        assert_eq!(day(9999, 1, 1).to_timestamp(0), None);
        assert_eq!(day(1970, 1, 2).to_timestamp(0), Some(Timestamp(86_400 * Timestamp::SECOND)));
    }
}
