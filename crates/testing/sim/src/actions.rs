//! What nodes do, carried out and watched.

use synod_ledger::{BlockKind, SealedBlock};
use synod_node::{Action, BLOCK_TIME_AHEAD_MAX, Event, Response, Role, StopReason};
use synod_types::boundary::{Append, EntryKind, LedgerRange, LogRecord};
use synod_types::{NodeId, Seqno, Untrusted};
use synod_worker::ToWorker;

use crate::check::{Checked, Violation, secrecy, violated};
use crate::clock::Instant;
use crate::disk::{Disk, Done, Ending, Job};
use crate::sabotage::Sabotage;
use crate::site::{Fate, Item, StartFacts};
use crate::trace::short;
use crate::world::{Happening, Local, World};

/// How often in a row a node may ask to be woken for a time that has passed.
const SPINS_MAX: u32 = 20;

impl World {
    /// A node handles an event, and does what comes of it.
    pub(crate) fn event(&mut self, node: NodeId, event: Event) -> Checked {
        let now = self.now;
        self.site(node).handle(now, event)?;
        self.carry_out(node)
    }

    /// Carries out what a node wants done; it may crash between any two things.
    fn carry_out(&mut self, node: NodeId) -> Checked {
        while let Some(action) = self.process(node).and_then(|process| process.node.poll_action()) {
            if self.chance.chance(self.swarm.crash_between_actions_ppm) && !self.is_rolling_back() {
                self.probes.crashes_between_actions += 1;
                self.crash(node, "crashes between actions");
                return Ok(());
            }
            self.carry_out_one(node, action)?;
        }
        self.watch(node)
    }

    fn carry_out_one(&mut self, node: NodeId, action: Action) -> Checked {
        match action {
            Action::Send { to, bytes } => {
                let kind = u64::from(bytes.first().copied().unwrap_or(u8::MAX));
                self.trace.note(self.now, node, "sends", &[("to", to.0), ("kind", kind), ("size", bytes.len() as u64)]);
                let bytes = self.falsify(node, bytes);
                for (at, parcel) in self.network.send(self.now, node, to, &bytes) {
                    self.queue.push(at, Happening::Arrival(parcel));
                }
                Ok(())
            }
            Action::Append(append) => self.append(node, append),
            Action::ReadLedger { ticket, range } => {
                self.trace.note(self.now, node, "reads its ledger", &[("ticket", ticket.0)]);
                self.probes.reads_for_peers += u64::from(matches!(range, LedgerRange::Indexes { .. }));
                self.submit(node, Job::Read(ticket, range));
                Ok(())
            }
            Action::Worker(message) => self.hand_to_worker(node, message),
            Action::Respond(responses) => {
                let told = self.sites[&node].process.as_ref().map_or(Seqno(0), |process| process.told);
                self.through_worker(node, Item::Respond(responses, told))
            }
            Action::Answer { token, result } => self.through_worker(node, Item::Answer(token, result)),
            Action::Committed { txid, .. } => self.through_worker(node, Item::Committed(txid)),
            Action::ProveAnew(_) => {
                violated("what clients have proved for good is not asked for anew", node.to_string())
            }
            // All channels stand here, whoever has a part, and clients ask every node.
            Action::Circle(_) | Action::Serving(_) => Ok(()),
            Action::ServiceRotated(service) => {
                let told = self.sites[&node].process.as_ref().map_or(Seqno(0), |process| process.told);
                self.truth.rotated(node, told, service.verifying_key())
            }
            Action::Governed(governed) => self.tables_told(node, governed.txid, &governed.state),
            Action::Stop { reason } => self.stopped(node, reason),
        }
    }

    fn append(&mut self, node: NodeId, append: Append) -> Checked {
        secrecy::check_append(node, &append)?;
        for record in &append.records {
            self.truth.filed(node, record)?;
            let digest = self.check_block(node, record)?;
            let fields = [("index", record.index.0), ("view", record.view.0), ("count", u64::from(record.count))];
            self.trace.note(self.now, node, "appends", &fields);
            self.trace.note(self.now, node, "  entry", &[("digest", digest)]);
        }
        let view = append.vote.as_ref().map_or(0, |vote| short(vote).swap_bytes());
        let cut = append.truncate_from.map_or(0, |from| from.0);
        self.trace.note(self.now, node, "files", &[("ticket", append.ticket.0), ("cut", cut), ("vote", view)]);
        if let Some(from) = append.truncate_from {
            self.truth.truncated(node, from, &self.sites[&node].disk)?;
            self.probes.truncations += 1;
        }
        if let Some(process) = self.process(node) {
            if let Some(from) = append.truncate_from {
                process.log.split_off(&from);
            }
            process.log.extend(append.records.iter().map(|record| (record.index, record.view)));
        }
        self.submit(node, Job::Append(append));
        Ok(())
    }

    /// Checks that a block of this leader says of itself what its calls were told; returns what an entry is, without
    /// its signatures.
    fn check_block(&mut self, node: NodeId, record: &LogRecord) -> Checked<u64> {
        if record.kind != EntryKind::Block {
            return Ok(0);
        }
        let block = SealedBlock::from_shared(&record.payload)
            .map_err(|error| Violation { claim: "nodes file blocks", seen: format!("node {node}: {error}") })?;
        let header = &block.header;
        self.latest_block = self.latest_block.max(header.time);
        let executes = self.sites[&node].process.as_ref().and_then(|process| process.executes);
        if header.signer != node && header.time > self.sites[&node].clock.shows(self.now).after(BLOCK_TIME_AHEAD_MAX) {
            let seen = format!("node {node}, entry {}, made by node {}", record.index, header.signer);
            return violated("no block is acknowledged whose time is far ahead", seen);
        }
        let facts = (header.view, header.first_seqno, header.time);
        let is_own = header.signer == node && header.kind == BlockKind::Application;
        if is_own && executes.is_some_and(|env| (env.view, env.first_seqno, env.time) != facts) {
            let seen = format!("node {node}, entry {}: {executes:?} became {facts:?}", record.index);
            return violated("a block's calls see its own facts", seen);
        }
        // What members sign lies in the ledger, and signatures differ from run to run.
        let is_governed = self.swarm.newcomers > 0;
        Ok(if is_governed { 0 } else { short(&block.entry_digest().0) })
    }

    fn submit(&mut self, node: NodeId, job: Job) {
        if self.site(node).disk.submit(job) {
            self.plan_disk_step(node);
        }
    }

    fn plan_disk_step(&mut self, node: NodeId) {
        if let Some(after) = self.site(node).disk.next_step_takes() {
            self.plan(after, node, Local::DiskStep);
        }
    }

    /// The disk ends a step; before each the node may crash.
    pub(crate) fn disk_step(&mut self, node: NodeId) -> Checked {
        self.probes.disk_steps += 1;
        let name = self.sites[&node].disk.next_step_name();
        self.trace.note(self.now, node, name, &[]);
        let draws_crash = self.site(node).disk.draws_crash() && !self.is_rolling_back();
        if draws_crash || self.swarm.crash_at_disk_step == Some(self.probes.disk_steps) {
            self.probes.crashes_at_disk_steps += 1;
            self.crash(node, "crashes at a step of its disk");
            return Ok(());
        }
        let done = self.site(node).disk.step();
        self.plan_disk_step(node);
        match done {
            Some(Done::Persisted(ticket)) => {
                self.note_sync(node);
                self.event(node, Event::Persisted(ticket))
            }
            Some(Done::Read(ticket, records)) => {
                let records = records.map(|records| records.into_iter().map(Untrusted::new).collect());
                self.event(node, Event::LedgerRead { ticket, records })
            }
            None => Ok(()),
        }
    }

    fn hand_to_worker(&mut self, node: NodeId, message: ToWorker) -> Checked {
        if let ToWorker::Commit { upto } = message {
            self.commit(node, upto)?;
        }
        if let (ToWorker::Execute(execute), Some(process)) = (&message, self.process(node)) {
            process.executes = Some(execute.env);
            self.truth.draws(node, execute.env.seed)?;
        }
        self.through_worker(node, Item::Message(message))
    }

    /// A node says that everything up to `upto` is committed.
    fn commit(&mut self, node: NodeId, upto: Seqno) -> Checked {
        self.trace.note(self.now, node, "commits", &[("upto", upto.0)]);
        let sites = &self.sites;
        let Some(before) = sites[&node].process.as_ref().map(|process| process.committed) else { return Ok(()) };
        let known = before.0 > 0 && self.truth.committed_at(before).is_some_and(|record| last(record) >= upto);
        if known {
            return violated("commits do not go back", format!("node {node} commits seqno {upto} again"));
        }
        let disks =
            || Box::new(sites.iter().map(|(id, site)| (*id, &site.disk))) as Box<dyn Iterator<Item = (NodeId, &Disk)>>;
        let index = self.truth.commits(node, before, upto, disks)?;
        if let Some(process) = self.process(node) {
            process.committed = index;
            process.told = upto;
        }
        Ok(())
    }

    fn through_worker(&mut self, node: NodeId, item: Item) -> Checked {
        if self.swarm.sabotage == Some(Sabotage::AnswersOvertakeTheWorker) && matches!(item, Item::Respond(..)) {
            return self.let_out(node, item);
        }
        let Some(process) = self.process(node) else { return Ok(()) };
        let was_idle = process.queue.is_empty();
        process.queue.push_back(item);
        if was_idle {
            let after = self.swarm.worker.draw(&mut self.chance);
            self.plan(after, node, Local::WorkerTurn);
        }
        Ok(())
    }

    /// The worker ends its message, and what waits behind that goes out.
    pub(crate) fn worker_turn(&mut self, node: NodeId) -> Checked {
        let Some(process) = self.process(node) else { return Ok(()) };
        let first = process.queue.front().is_some_and(|item| matches!(item, Item::Message(_)));
        let mut executed = None;
        if first && let Some(Item::Message(message)) = process.queue.pop_front() {
            executed = self.work(node, message)?;
        }
        while let Some(item) =
            self.process(node).and_then(|process| process.queue.pop_front_if(|item| !matches!(item, Item::Message(_))))
        {
            self.let_out(node, item)?;
        }
        if self.process(node).is_some_and(|process| !process.queue.is_empty()) {
            let after = self.swarm.worker.draw(&mut self.chance);
            self.plan(after, node, Local::WorkerTurn);
        }
        executed.map_or(Ok(()), |executed| self.event(node, Event::Executed(executed)))
    }

    fn work(&mut self, node: NodeId, message: ToWorker) -> Checked<Option<synod_worker::Executed>> {
        let upto = if let ToWorker::Commit { upto } = message { Some(upto) } else { None };
        let executed = self.site(node).work(message)?;
        if let (Some(upto), Some(process)) = (upto, self.process(node)) {
            let snapshot = process.reader.latest();
            if snapshot.seqno != upto {
                let seen = format!("node {node} shows seqno {} after committing {upto}", snapshot.seqno);
                return violated("snapshots show committed blocks", seen);
            }
            let digest = snapshot.state.digest();
            self.trace.note(self.now, node, "shows", &[("seqno", upto.0), ("state", short(&digest.0))]);
            self.truth.state(node, upto, digest)?;
        }
        Ok(executed)
    }

    fn let_out(&mut self, node: NodeId, item: Item) -> Checked {
        match item {
            Item::Message(_) => unreachable!("messages are for the worker"),
            Item::Committed(_) => Ok(()),
            Item::Respond(responses, told) => {
                self.check_readable(node, &responses, told)?;
                responses.into_iter().try_for_each(|response| self.response(node, response))
            }
            Item::Answer(token, result) => self.query_answer(node, token, result),
        }
    }

    /// What a node had said to be committed before it answered can be read when the answer goes out.
    fn check_readable(&self, node: NodeId, responses: &[Response], told: Seqno) -> Checked {
        let Some(process) = &self.sites[&node].process else { return Ok(()) };
        let shown = process.reader.latest().seqno;
        let answers = responses.iter().filter_map(|response| response.result.as_ref().ok());
        match answers.map(|answer| answer.txid.seqno).find(|seqno| *seqno <= told && *seqno > shown) {
            Some(seqno) => {
                let seen = format!("node {node} answers with seqno {seqno} and shows seqno {shown}");
                violated("what was answered can be read", seen)
            }
            None => Ok(()),
        }
    }

    /// The node asked to be woken.
    pub(crate) fn wake(&mut self, node: NodeId, at: Instant) -> Checked {
        match self.process(node) {
            Some(process) if process.wake_at == Some(at) => process.wake_at = None,
            _ => return Ok(()),
        }
        self.event(node, Event::Timeout)
    }

    /// Has a node woken at a time, and not when it was to be woken before.
    pub(crate) fn plan_wake(&mut self, node: NodeId, at: Instant) {
        let after = at.since(self.now);
        let Some(process) = self.process(node) else { return };
        process.wake_at = Some(at);
        self.plan(after, node, Local::Wake(at));
    }

    /// Looks at a node after each event: who leads, and when it wants to be woken.
    fn watch(&mut self, node: NodeId) -> Checked {
        let now = self.now;
        let site = self.site(node);
        let shown = site.shows(now);
        let clock = site.clock;
        let Some(process) = &mut site.process else { return Ok(()) };
        let status = process.node.status();
        if let Some(time) = process.node.poll_timeout() {
            process.spins = if time <= shown { process.spins + 1 } else { 0 };
            if process.spins > SPINS_MAX {
                let seen = format!("node {node} wants to be woken for {} us ago, again and again", shown.0 - time.0);
                return violated("a node that has nothing to do sleeps", seen);
            }
            let at = clock.when(time).max(now.plus(1));
            if process.wake_at.is_none_or(|planned| at < planned) {
                self.plan_wake(node, at);
            }
        }
        if matches!(self.sites[&node].fate, Fate::RolledBack) && status.role != Role::Resuming {
            let seen = format!("node {node} is a {} in view {}", status.role.name(), status.view);
            return violated("a node whose disk was rolled back takes no part", seen);
        }
        if status.role == Role::Leader && self.truth.leads(node, status.view)? {
            self.trace.note(self.now, node, "leads", &[("view", status.view.0)]);
            self.check_leader_log(node)?;
        }
        Ok(())
    }

    /// A new leader's log holds everything that was committed in earlier views.
    fn check_leader_log(&self, node: NodeId) -> Checked {
        let Some(process) = &self.sites[&node].process else { return Ok(()) };
        let view = process.node.status().view;
        let lacks = |record: &&LogRecord| record.view < view && process.log.get(&record.index) != Some(&record.view);
        match self.truth.committed().iter().find(lacks) {
            Some(record) => {
                let seen = format!("node {node} leads view {view} without entry {}", record.index);
                violated("a leader's log holds all that is committed", seen)
            }
            None => Ok(()),
        }
    }

    fn stopped(&mut self, node: NodeId, reason: StopReason) -> Checked {
        self.trace.note(self.now, node, "stops", &[("asked", u64::from(reason == StopReason::Shutdown))]);
        self.trace.remark(self.now, node, || reason.to_string());
        let rolled_back = matches!(reason, StopReason::DiskRolledBack { .. } | StopReason::VoteRolledBack { .. });
        match self.sites[&node].fate {
            Fate::RolledBack if rolled_back => {
                self.probes.roll_backs_refused += 1;
                self.switch_off(node, Ending::Process);
                self.site(node).fate = Fate::Refused;
                self.site(node).refusal = Some(reason);
                Ok(())
            }
            _ if rolled_back => violated("only a disk that was rolled back is refused", reason.to_string()),
            _ => {
                self.switch_off(node, Ending::Process);
                let after = self.chance.between(1_000, 500_000);
                self.plan_start(after, node);
                Ok(())
            }
        }
    }

    /// Switches the machine on, unless that happened meanwhile.
    pub(crate) fn start_if_down(&mut self, node: NodeId, incarnation: u64) -> Checked {
        let site = &self.sites[&node];
        if site.incarnation != incarnation || site.process.is_some() || !site.takes_part() {
            return Ok(());
        }
        let retained_bytes_max = self.swarm.retained_bytes_max;
        let facts = StartFacts { seed: self.node_seeds.bytes(), retained_bytes_max };
        let (now, consortium) = (self.now, self.consortium.clone());
        let clock = crate::world::clock(&self.swarm, &mut self.chance);
        let is_healed = self.healed_at.is_some();
        let site = self.site(node);
        if !is_healed {
            site.clock = clock;
        }
        let started = site.start(now, &consortium, facts);
        if matches!(site.fate, Fate::Forged) {
            return self.forged(node, &started);
        }
        let (actions, torn) = started?;
        if self.consortium.nodes.len() == 1 {
            let sites = &self.sites;
            self.truth.forget_unseen(|| sites.values().map(|site| &site.disk));
        }
        self.probes.starts += 1;
        self.probes.torn_tails += u64::from(torn);
        self.trace.note(self.now, node, "starts", &[("torn", u64::from(torn))]);
        for action in actions {
            self.carry_out_one(node, action)?;
        }
        for peer in self.slots.clone() {
            if peer != node {
                self.plan_dial(node, peer);
            }
        }
        self.carry_out(node)
    }

    /// A node found that its host added to its log.
    fn forged(&mut self, node: NodeId, started: &Checked<(Vec<Action>, bool)>) -> Checked {
        if started.is_ok() {
            return violated("a node does not start from a log that its host made up", format!("node {node} does"));
        }
        self.probes.forgeries_refused += 1;
        self.site(node).fate = Fate::Refused;
        Ok(())
    }

    /// Tries to make a channel; if that fails and both are there, tries again later.
    pub(crate) fn dial(&mut self, a: NodeId, b: NodeId) {
        let runs = |node: NodeId| self.sites[&node].process.is_some();
        if !runs(a) || !runs(b) || self.network.stands(a, b) {
            return;
        }
        if !self.network.connect(a, b) {
            return self.plan_dial(a, b);
        }
        self.trace.note(self.now, a, "has a channel", &[("to", b.0)]);
        for (node, peer) in [(a, b), (b, a)] {
            let after = self.chance.below(300);
            self.plan(after, node, Local::PeerUp(peer));
        }
    }

    pub(crate) fn plan_dial(&mut self, a: NodeId, b: NodeId) {
        let after = self.network.dialling_time();
        self.queue.push(self.now.plus(after), Happening::Dial(a, b));
    }

    pub(crate) fn plan_start(&mut self, after: u64, node: NodeId) {
        let incarnation = self.sites[&node].incarnation;
        self.queue.push(self.now.plus(after), Happening::Start { node, incarnation });
    }
}

fn last(record: &LogRecord) -> Seqno {
    crate::check::truth::last_seqno(record)
}
