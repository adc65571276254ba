//! A Kafka client as one is written with the crate rdkafka; it knows nothing of tracing.
//!
//!     client produce|consume BROKERS TOPIC COUNT RUN
//!
//! RUN is eight hexadecimal digits: the ids in the messages begin with it, and it is the group.
//! consume prints a line a message: partition, offset, key, traceparent.

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::str;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, Headers, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

type Outcome = Result<(), Box<dyn Error>>;

/// A consumer that gets nothing for so long gives up.
const QUIET: Duration = Duration::from_secs(60);

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

fn produce(brokers: &str, topic: &str, count: usize, run: &str) -> Outcome {
    let producer: ThreadedProducer<Deliveries> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("client.id", "maker")
        .create_with_context(Deliveries::default())?;
    for n in 1..=count {
        let (key, value) = (format!("k{n}"), format!("value {n}"));
        let (number, parent) = (n.to_string(), traceparent(run, n));
        let headers = OwnedHeaders::new()
            .insert(Header { key: "n", value: Some(&number) })
            .insert(Header { key: "traceparent", value: Some(&parent) });
        let mut record = BaseRecord::to(topic).key(&key).payload(&value).headers(headers);
        while let Err((error, back)) = producer.send(record) {
            if error != KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            std::thread::sleep(Duration::from_millis(10));
            record = back;
        }
    }
    producer.flush(QUIET)?;
    match producer.context().failed.load(Ordering::Relaxed) {
        0 => Ok(()),
        failed => Err(format!("{failed} failed").into()),
    }
}

fn consume(brokers: &str, topic: &str, count: usize, run: &str) -> Outcome {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("client.id", "reader")
        .set("group.id", run)
        .set("auto.offset.reset", "earliest")
        .set("session.timeout.ms", "6000")
        .create()?;
    let mut out = BufWriter::new(io::stdout());

    consumer.subscribe(&[topic])?;
    let (mut n, mut last) = (0, Instant::now());
    while n < count {
        // None is also what a rebalance or a commit gives.
        let Some(message) = consumer.poll(QUIET) else {
            if last.elapsed() < QUIET {
                continue;
            }
            return Err(format!("only {n} messages").into());
        };
        let message = message?;
        (n, last) = (n + 1, Instant::now());
        let parent = message
            .headers()
            .and_then(|all| all.iter().find(|h| h.key == "traceparent"))
            .and_then(|h| h.value)
            .unwrap_or(b"-");
        let key = str::from_utf8(message.key().unwrap_or(b"-"))?;
        let (partition, offset) = (message.partition(), message.offset());
        writeln!(out, "{partition} {offset} {key} {}", str::from_utf8(parent)?)?;
    }
    out.flush()?;
    Ok(())
}

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().collect();
    let [_, verb, brokers, topic, count, run] = args.as_slice() else {
        return Err("usage: client produce|consume BROKERS TOPIC COUNT RUN".into());
    };
    match verb.as_str() {
        "produce" => produce(brokers, topic, count.parse()?, run),
        "consume" => consume(brokers, topic, count.parse()?, run),
        _ => Err(format!("no verb {verb}").into()),
    }
}
