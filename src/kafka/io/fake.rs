//! A cluster of brokers in this process for tests: real sockets and real bytes, a log that checks sequence numbers as
//! Kafka's does, and faults by script.

use std::{
    collections::{HashMap, VecDeque},
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::wire::{
    batch::tests::{ReadRecord, read},
    codec::{Reader, put_i16, put_i32, put_nullable_string, put_string, put_unsigned_varint},
};

/// What happens to the next Produce request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The records are taken, the connection breaks before the answer.
    AnswerLost,
    /// The connection breaks before anything is taken.
    RequestLost,
    /// Nothing is taken, the answer is this code.
    Refused(i16),
    /// The records are taken, and the answer is this code all the same.
    TakenAndRefused(i16),
    /// The records are taken, the answer comes late.
    Late(u64),
    /// The records are taken, the answer is no answer.
    Garbage,
    /// The records are taken, the answer is to another request.
    WrongQuestion,
    /// No answer ever comes.
    Silence,
}

#[derive(Default)]
struct Partition {
    leader: i32,
    records: Vec<ReadRecord>,
    /// First sequence number and count of the last five batches.
    last: VecDeque<(i32, usize)>,
}

#[derive(Default)]
pub(crate) struct State {
    ports: Vec<u16>,
    partitions: HashMap<(String, i32), Partition>,
    pub(crate) count: i32,
    pub(crate) faults: VecDeque<Fault>,
    /// Larger batches are refused.
    pub(crate) largest: usize,
    pub(crate) producer_ids: i64,
    pub(crate) requests: HashMap<i16, usize>,
    pub(crate) batches: usize,
    /// What SaslAuthenticate answers, beside 0.
    pub(crate) login: i16,
    /// Answer to Metadata for every topic.
    pub(crate) topic_code: i16,
    pub(crate) produce_versions: (i16, i16),
}

/// Brokers 1 to n.
pub(crate) struct Fake {
    state: Arc<Mutex<State>>,
}

impl Fake {
    /// Starts `brokers` brokers; every topic has `partitions` partitions, led in turn.
    pub(crate) fn start(brokers: i32, partitions: i32) -> Self {
        let state = State { count: partitions, largest: usize::MAX, produce_versions: (3, 13), ..State::default() };
        let fake = Self { state: Arc::new(Mutex::new(state)) };
        for id in 1..=brokers {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            fake.state().ports.push(listener.local_addr().expect("an address").port());
            let state = fake.state.clone();
            std::thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    let state = state.clone();
                    std::thread::spawn(move || drop(serve(id, stream, &state)));
                }
            });
        }
        fake
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn bootstrap(&self) -> String {
        self.state().ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",")
    }

    /// Makes another broker the leader of a partition.
    pub(crate) fn lead(&self, topic: &str, partition: i32, leader: i32) {
        self.state().partitions.entry((topic.to_owned(), partition)).or_default().leader = leader;
    }

    /// Values in a partition's log, in order.
    pub(crate) fn log(&self, topic: &str, partition: i32) -> Vec<String> {
        let state = self.state();
        let text = |r: &ReadRecord| String::from_utf8_lossy(r.value.as_deref().unwrap_or_default()).into_owned();
        state
            .partitions
            .get(&(topic.to_owned(), partition))
            .map(|p| p.records.iter().map(text).collect())
            .unwrap_or_default()
    }
}

impl State {
    fn leader(&self, topic: &str, partition: i32) -> i32 {
        let moved = self.partitions.get(&(topic.to_owned(), partition)).map(|p| p.leader).filter(|leader| *leader > 0);
        moved.unwrap_or(partition % self.ports.len() as i32 + 1)
    }

    /// Appends a batch as Kafka does; gives its code.
    fn append(&mut self, topic: &str, partition: i32, bytes: &[u8]) -> i16 {
        if bytes.len() > self.largest {
            return 10;
        }
        self.batches += 1;
        let Some(batch) = read(bytes).expect("a batch") else { return 2 };
        let partition = self.partitions.entry((topic.to_owned(), partition)).or_default();
        let this = (batch.sequence, batch.records.len());
        if batch.producer.id >= 0 {
            if partition.last.contains(&this) {
                return 0;
            }
            let next = partition.last.back().map_or(batch.sequence, |(first, count)| {
                ((i64::from(*first) + *count as i64) & i64::from(i32::MAX)) as i32
            });
            if next != batch.sequence {
                return 45;
            }
            partition.last.push_back(this);
            if partition.last.len() > 5 {
                partition.last.pop_front();
            }
        }
        partition.records.extend(batch.records);
        0
    }
}

fn serve(id: i32, mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let state = || state.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let mut length = [0; 4];
        stream.read_exact(&mut length)?;
        let mut request = vec![0; u32::from_be_bytes(length) as usize];
        stream.read_exact(&mut request)?;
        let mut reader = Reader::new(&request);
        let (api, _, mut correlation) = (number(reader.i16()), number(reader.i16()), number(reader.i32()));
        reader.nullable_string().expect("a client id");
        *state().requests.entry(api).or_default() += 1;
        let mut answer = Vec::new();
        match api {
            18 => api_versions(&mut answer, state().produce_versions),
            3 => metadata(&mut reader, &mut answer, &mut state()),
            22 => {
                let mut state = state();
                state.producer_ids += 1;
                put_i32(&mut answer, 0);
                put_i16(&mut answer, 0);
                answer.extend_from_slice(&(1000 + state.producer_ids).to_be_bytes());
                put_i16(&mut answer, 0);
            }
            17 => {
                put_i16(&mut answer, 0);
                put_i32(&mut answer, 1);
                put_string(&mut answer, "PLAIN");
            }
            36 => {
                put_i16(&mut answer, state().login);
                put_nullable_string(&mut answer, Some("Authentication failed: Invalid username or password"));
                answer.extend_from_slice(&[0; 12]);
            }
            0 => {
                let fault = state().faults.pop_front().unwrap_or(Fault::None);
                match fault {
                    Fault::RequestLost => return stream.shutdown(Shutdown::Both),
                    Fault::Silence => continue,
                    _ => {}
                }
                let acks = produce(id, &mut reader, &mut answer, &mut state(), fault);
                match fault {
                    Fault::AnswerLost => return stream.shutdown(Shutdown::Both),
                    Fault::Late(ms) => std::thread::park_timeout(Duration::from_millis(ms)),
                    Fault::Garbage => answer = vec![0xff; 3],
                    Fault::WrongQuestion => correlation += 1,
                    _ => {}
                }
                if acks == 0 {
                    continue;
                }
            }
            other => panic!("request {other} is not known here"),
        }
        let mut out = Vec::new();
        put_i32(&mut out, answer.len() as i32 + 4);
        put_i32(&mut out, correlation);
        out.extend_from_slice(&answer);
        stream.write_all(&out)?;
    }
}

fn number<T>(read: Result<T, crate::wire::codec::Malformed>) -> T {
    read.expect("a whole request")
}

fn api_versions(answer: &mut Vec<u8>, produce: (i16, i16)) {
    let apis = [(0, produce.0, produce.1), (3, 0, 13), (17, 0, 1), (18, 0, 4), (22, 0, 5), (36, 0, 2)];
    put_i16(answer, 0);
    put_unsigned_varint(answer, apis.len() as u64 + 1);
    for (key, least, most) in apis {
        [key, least, most].iter().for_each(|n| put_i16(answer, *n));
        answer.push(0);
    }
    put_i32(answer, 0);
    answer.push(0);
}

fn metadata(reader: &mut Reader<'_>, answer: &mut Vec<u8>, state: &mut State) {
    put_i32(answer, 0);
    put_i32(answer, state.ports.len() as i32);
    for (n, port) in state.ports.iter().enumerate() {
        put_i32(answer, n as i32 + 1);
        put_string(answer, "127.0.0.1");
        put_i32(answer, i32::from(*port));
        put_nullable_string(answer, None);
    }
    put_nullable_string(answer, Some("fake"));
    put_i32(answer, 1);
    let topics = number(reader.i32());
    put_i32(answer, topics);
    for _ in 0..topics {
        let name = number(reader.string());
        put_i16(answer, state.topic_code);
        put_string(answer, name);
        answer.push(0);
        put_i32(answer, if state.topic_code == 0 { state.count } else { 0 });
        for partition in (0..state.count).filter(|_| state.topic_code == 0) {
            put_i16(answer, 0);
            put_i32(answer, partition);
            put_i32(answer, state.leader(name, partition));
            put_i32(answer, 0);
            (0..3).for_each(|_| put_i32(answer, 0));
        }
    }
}

/// Takes a request's batches; gives its `acks`.
fn produce(id: i32, reader: &mut Reader<'_>, answer: &mut Vec<u8>, state: &mut State, fault: Fault) -> i16 {
    assert_eq!(number(reader.nullable_string()), None, "no transaction");
    let (acks, _, topics) = (number(reader.i16()), number(reader.i32()), number(reader.i32()));
    put_i32(answer, topics);
    for _ in 0..topics {
        let (topic, partitions) = (number(reader.string()), number(reader.i32()));
        put_string(answer, topic);
        put_i32(answer, partitions);
        for _ in 0..partitions {
            let (partition, bytes) = (number(reader.i32()), number(reader.bytes()));
            let code = match fault {
                Fault::Refused(code) => code,
                _ if state.leader(topic, partition) != id => 6,
                Fault::TakenAndRefused(code) => {
                    state.append(topic, partition, bytes);
                    code
                }
                _ => state.append(topic, partition, bytes),
            };
            put_i32(answer, partition);
            put_i16(answer, code);
            answer.extend_from_slice(&[0; 24]);
            put_i32(answer, 0);
            put_nullable_string(answer, None);
        }
    }
    assert_eq!(reader.left(), 0, "nothing more in a request");
    put_i32(answer, 0);
    acks
}
