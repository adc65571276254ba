//! A Kafka client as one is written with the crate rdkafka; it knows nothing of tracing.
//!
//!     client produce|consume|relay BROKERS TOPIC COUNT RUN
//!
//! RUN is eight hexadecimal digits: the ids in the messages begin with it, and it is the group.
//! consume prints a line a message: partition, offset, key, traceparent. relay reads in one thread
//! and produces, from a pool of others, a message without headers and with the same key to
//! TOPIC-relayed for each message read.

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::str;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

type Outcome = Result<(), Box<dyn Error>>;

/// A consumer that gets nothing for so long gives up.
const QUIET: Duration = Duration::from_secs(60);
const WORKERS: usize = 8;

#[derive(Default)]
struct Deliveries {
    failed: AtomicUsize,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, _: ()) {
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Each message has a trace and a span of its own.
fn traceparent(run: &str, n: usize) -> String {
    format!("00-{run}{n:024x}-{run}{n:08x}-01")
}

fn producer(brokers: &str) -> Result<ThreadedProducer<Deliveries>, KafkaError> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("client.id", "maker")
        .create_with_context(Deliveries::default())
}

type Record<'a> = BaseRecord<'a, String, [u8]>;

/// Waits while the queue is full.
fn send(producer: &ThreadedProducer<Deliveries>, mut record: Record) -> Result<(), KafkaError> {
    while let Err((error, back)) = producer.send(record) {
        if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
            return Err(error);
        }
        thread::sleep(Duration::from_millis(10));
        record = back;
    }
    Ok(())
}

fn finish(producer: &ThreadedProducer<Deliveries>) -> Outcome {
    producer.flush(QUIET)?;
    match producer.context().failed.load(Ordering::Relaxed) {
        0 => Ok(()),
        failed => Err(format!("{failed} failed").into()),
    }
}

fn produce(brokers: &str, topic: &str, count: usize, run: &str) -> Outcome {
    let producer = producer(brokers)?;
    for n in 1..=count {
        let (key, value) = (format!("k{n}"), format!("value {n}"));
        let (number, parent) = (n.to_string(), traceparent(run, n));
        let headers = OwnedHeaders::new()
            .insert(Header {
                key: "n",
                value: Some(&number),
            })
            .insert(Header {
                key: "traceparent",
                value: Some(&parent),
            });
        let record = BaseRecord::to(topic).key(&key).payload(value.as_bytes());
        send(&producer, record.headers(headers))?;
    }
    finish(&producer)
}

fn read<F>(brokers: &str, topic: &str, count: usize, run: &str, mut each: F) -> Outcome
where
    F: FnMut(&BorrowedMessage) -> Outcome,
{
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("client.id", "reader")
        .set("group.id", run)
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "6000")
        .create()?;
    let (mut n, mut last) = (0, Instant::now());

    consumer.subscribe(&[topic])?;
    while n < count {
        // None is also what a rebalance or a commit gives.
        if let Some(message) = consumer.poll(QUIET) {
            each(&message?)?;
            (n, last) = (n + 1, Instant::now());
        } else if last.elapsed() > QUIET {
            return Err(format!("only {n} messages").into());
        }
    }
    Ok(())
}

fn consume(brokers: &str, topic: &str, count: usize, run: &str) -> Outcome {
    let mut out = BufWriter::new(io::stdout());

    read(brokers, topic, count, run, |message| {
        let parent = message
            .headers()
            .and_then(|all| all.iter().find(|h| h.key == "traceparent"))
            .and_then(|h| h.value)
            .unwrap_or(b"-");
        let key = str::from_utf8(message.key().unwrap_or(b"-"))?;
        let (partition, offset) = (message.partition(), message.offset());
        writeln!(
            out,
            "{partition} {offset} {key} {}",
            str::from_utf8(parent)?
        )?;
        Ok(())
    })?;
    out.flush()?;
    Ok(())
}

fn relay(brokers: &str, topic: &str, count: usize, run: &str) -> Outcome {
    let producer = Arc::new(producer(brokers)?);
    let target = format!("{topic}-relayed");
    let (give, take) = mpsc::sync_channel::<(String, Vec<u8>)>(1);
    let take = Arc::new(Mutex::new(take));
    let workers: Vec<_> = (0..WORKERS)
        .map(|_| {
            let (producer, take, target) = (producer.clone(), take.clone(), target.clone());
            thread::spawn(move || loop {
                let next = take.lock().unwrap().recv();
                let Ok((key, value)) = next else { break };
                let record = BaseRecord::to(&target).key(&key).payload(value.as_slice());
                send(&producer, record).unwrap();
            })
        })
        .collect();

    read(brokers, topic, count, run, |message| {
        let key = str::from_utf8(message.key().unwrap_or(b"-"))?.to_string();
        give.send((key, message.payload().unwrap_or(b"").to_vec()))?;
        Ok(())
    })?;
    drop(give);
    for worker in workers {
        worker.join().map_err(|_| "a worker failed")?;
    }
    finish(&producer)
}

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().collect();
    let [_, verb, brokers, topic, count, run] = args.as_slice() else {
        return Err("usage: client produce|consume|relay BROKERS TOPIC COUNT RUN".into());
    };
    match verb.as_str() {
        "produce" => produce(brokers, topic, count.parse()?, run),
        "consume" => consume(brokers, topic, count.parse()?, run),
        "relay" => relay(brokers, topic, count.parse()?, run),
        _ => Err(format!("no verb {verb}").into()),
    }
}
