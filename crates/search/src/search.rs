//! The newest (or oldest) matching records.
//!
//! Granules are visited from the wanted end of time, in growing waves, until no granule that is left can
//! hold a better record than those found. Only then are all columns of the few answered rows read.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{self, AtomicUsize};
use std::time::Instant;

use arrow::array::RecordBatch;
use taffrail_record::Timestamp;
use taffrail_store::Snapshot;
use taffrail_store::engine::{
    Control, Cursor, Order, QueryError, SEARCH_LIMIT_MAX, SEARCH_SKIP_MAX, SearchPage, SearchRequest, Work,
};
use taffrail_store::schema;

use crate::place::{self, Place};
use crate::rows::Rows;
use crate::scan::{Part, Scan, on_workers, store_error};

/// Granules of the first wave; each wave doubles up to [`WAVE_MAX`].
const WAVE_MIN: usize = 2;
const WAVE_MAX: usize = 128;

#[derive(Clone, Debug)]
struct Candidate {
    cursor: Cursor,
    place: Place,
}

/// A granule to visit.
struct Visit {
    part: usize,
    granule: usize,
    /// The best time that its records can have: the latest for newest first.
    best: i64,
}

/// Answers a search.
pub fn search(
    snapshot: &Snapshot,
    request: &SearchRequest,
    control: &Control,
) -> Result<SearchPage, QueryError> {
    let start = Instant::now();
    check(request)?;
    let mut page = SearchPage::default();
    if request.limit > 0 {
        let mut search = Search::new(snapshot, request)?;
        search.run(control)?;
        page = search.page(control)?;
    }
    page.work.elapsed = start.elapsed();
    Ok(page)
}

fn check(request: &SearchRequest) -> Result<(), QueryError> {
    if request.limit > SEARCH_LIMIT_MAX {
        return Err(QueryError::Invalid(format!(
            "limit is at most {SEARCH_LIMIT_MAX}, page on with `after`"
        )));
    }
    if request.skip + request.limit > SEARCH_SKIP_MAX {
        return Err(QueryError::Invalid(format!(
            "only the first {SEARCH_SKIP_MAX} records can be reached by skipping; narrow the time range instead"
        )));
    }
    if request.range.since > request.range.until {
        return Err(QueryError::Invalid(
            "the time range ends before it starts; swap since and until".to_owned(),
        ));
    }
    Ok(())
}

struct Search<'a> {
    snapshot: &'a Snapshot,
    request: &'a SearchRequest,
    scan: Scan,
    parts: Vec<Part>,
    found: Vec<Candidate>,
    work: Work,
}

impl<'a> Search<'a> {
    fn new(snapshot: &'a Snapshot, request: &'a SearchRequest) -> Result<Self, QueryError> {
        let mut range = request.range;
        if let Some(after) = &request.after {
            match request.order {
                Order::NewestFirst => {
                    range.until = range.until.min(Timestamp(after.timestamp.0.saturating_add(1)))
                }
                Order::OldestFirst => range.since = range.since.max(after.timestamp),
            }
        }
        let scan = Scan::new(&request.filter, range)?;
        let mut work = Work::default();
        let parts = scan.parts(&snapshot.segments, &mut work)?;
        Ok(Self { snapshot, request, scan, parts, found: Vec::new(), work })
    }

    /// Candidates that are kept: the page, what it skips, and one that tells whether there is more.
    fn needed(&self) -> usize {
        self.request.skip + self.request.limit + 1
    }

    fn run(&mut self, control: &Control) -> Result<(), QueryError> {
        for (index, batch) in self.snapshot.memory.iter().enumerate() {
            control.check()?;
            self.work.records_scanned += batch.num_rows() as u64;
            let found = self.candidates(batch, &|row| Place::Memory { batch: index, row });
            self.keep(found);
        }
        let mut visits = self.visits();
        let mut wave = WAVE_MIN;
        while !visits.is_empty() {
            let rest = visits.split_off(wave.min(visits.len()));
            self.visit(&visits, control)?;
            visits = rest;
            wave = (wave * 2).min(WAVE_MAX);
            if self.is_complete(visits.first()) {
                self.work.granules_pruned += visits.len() as u64;
                break;
            }
        }
        Ok(())
    }

    /// The granules to visit, the best first.
    fn visits(&self) -> Vec<Visit> {
        let mut visits = Vec::new();
        for (part, Part { wanted, .. }) in self.parts.iter().enumerate() {
            let bounds = self.parts[part].granules();
            for granule in (0..wanted.len()).filter(|granule| wanted[*granule]) {
                let best = match self.request.order {
                    Order::NewestFirst => bounds[granule].max_timestamp,
                    Order::OldestFirst => bounds[granule].min_timestamp,
                };
                visits.push(Visit { part, granule, best });
            }
        }
        match self.request.order {
            Order::NewestFirst => visits.sort_by_key(|visit| std::cmp::Reverse(visit.best)),
            Order::OldestFirst => visits.sort_by_key(|visit| visit.best),
        }
        visits
    }

    /// Whether no granule from `next` on can hold a better record than the worst that is kept.
    fn is_complete(&self, next: Option<&Visit>) -> bool {
        let (Some(next), true) = (next, self.found.len() >= self.needed()) else { return false };
        let worst = self.found[self.needed() - 1].cursor.timestamp.0;
        match self.request.order {
            Order::NewestFirst => next.best < worst,
            Order::OldestFirst => next.best > worst,
        }
    }

    fn visit(&mut self, visits: &[Visit], control: &Control) -> Result<(), QueryError> {
        let mut by_part: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for visit in visits {
            by_part.entry(visit.part).or_default().push(visit.granule);
        }
        let tasks: Vec<(usize, Vec<usize>)> = by_part.into_iter().collect();
        let (next, gathered) = (AtomicUsize::new(0), Mutex::new((Vec::new(), 0)));
        let results = on_workers(tasks.len(), || -> Result<(), QueryError> {
            while let Some((part, granules)) = tasks.get(next.fetch_add(1, atomic::Ordering::Relaxed)) {
                control.check()?;
                let (found, scanned) = self.visit_part(*part, granules)?;
                let mut gathered = gathered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                gathered.0.extend(found);
                gathered.1 += scanned;
            }
            Ok(())
        });
        results.into_iter().collect::<Result<Vec<()>, _>>()?;
        let (found, scanned) = gathered.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.work.granules_read += visits.len() as u64;
        self.work.records_scanned += scanned;
        self.keep(found);
        Ok(())
    }

    fn visit_part(&self, index: usize, granules: &[usize]) -> Result<(Vec<Candidate>, u64), QueryError> {
        let part = &self.parts[index];
        let wanted: Vec<bool> = (0..part.wanted.len()).map(|granule| granules.contains(&granule)).collect();
        // Row numbers in the row group of the rows that come.
        let mut starts = Vec::new();
        let mut start = 0;
        for (granule, bounds) in part.granules().iter().enumerate() {
            if wanted[granule] {
                starts.extend(start..start + bounds.rows as usize);
            }
            start += bounds.rows as usize;
        }
        let columns = self.scan.columns(part.segment.schema(), &[schema::SOURCE, schema::OFFSET]);
        let (mut found, mut read) = (Vec::new(), 0);
        for batch in part.segment.read(part.row_group, &wanted, &columns).map_err(store_error)? {
            let batch = batch.map_err(store_error)?;
            let numbers = &starts[read..];
            found.extend(self.candidates(&batch, &|row| Place::Part { part: index, row: numbers[row] }));
            read += batch.num_rows();
        }
        Ok((found, read as u64))
    }

    /// The matching rows of a batch that can be among the best.
    fn candidates(&self, batch: &RecordBatch, place: &dyn Fn(usize) -> Place) -> Vec<Candidate> {
        let selected = self.scan.select(batch);
        let rows = Rows::new(batch);
        let mut best: Vec<(i64, usize)> = selected.set_indices().map(|row| (rows.time(row), row)).collect();
        // One more for each record of the cursor's own moment, which may have been answered already.
        let spare = match &self.request.after {
            Some(after) => best.iter().filter(|(time, _)| *time == after.timestamp.0).count(),
            None => 0,
        };
        let needed = self.needed() + spare;
        if best.len() > needed {
            match self.request.order {
                Order::NewestFirst => best.sort_unstable_by_key(|(time, _)| std::cmp::Reverse(*time)),
                Order::OldestFirst => best.sort_unstable_by_key(|(time, _)| *time),
            }
            // Records of one moment are told apart by source and offset only: keep all of the last moment.
            let last = best[needed - 1].0;
            let end = needed + best[needed..].iter().take_while(|(time, _)| *time == last).count();
            best.truncate(end);
        }
        best.into_iter()
            .map(|(time, row)| Candidate {
                cursor: Cursor {
                    timestamp: Timestamp(time),
                    source: rows.source(row).to_owned(),
                    offset: rows.offset(row),
                },
                place: place(row),
            })
            .filter(|candidate| self.is_after(&candidate.cursor))
            .collect()
    }

    fn is_after(&self, cursor: &Cursor) -> bool {
        self.request.after.as_ref().is_none_or(|after| self.compare(after, cursor) == Ordering::Less)
    }

    /// Less: `a` is answered before `b`.
    fn compare(&self, a: &Cursor, b: &Cursor) -> Ordering {
        match self.request.order {
            Order::NewestFirst => b.cmp(a),
            Order::OldestFirst => a.cmp(b),
        }
    }

    fn keep(&mut self, more: Vec<Candidate>) {
        if more.is_empty() {
            return;
        }
        let mut found = std::mem::take(&mut self.found);
        found.extend(more);
        found.sort_by(|a, b| self.compare(&a.cursor, &b.cursor));
        found.truncate(self.needed());
        self.found = found;
    }

    fn page(mut self, control: &Control) -> Result<SearchPage, QueryError> {
        let end = (self.request.skip + self.request.limit).min(self.found.len());
        let more = self.found.len() > end;
        let wanted = self.found.get(self.request.skip..end).unwrap_or_default().to_vec();
        let next = wanted.last().filter(|_| more).map(|last| last.cursor.clone());
        let places: Vec<Place> = wanted.iter().map(|candidate| candidate.place).collect();
        let mut hits = place::hits(self.snapshot, &self.parts, &places, control)?;
        let hits = wanted.iter().filter_map(|candidate| hits.remove(&candidate.place)).collect();
        Ok(SearchPage { hits, next, work: std::mem::take(&mut self.work) })
    }
}
