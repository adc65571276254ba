'use strict';
/*
 * A Kafka client as one is written with node-rdkafka; it knows nothing of tracing.
 *
 *     node client.js produce|consume|relay BROKERS TOPIC COUNT RUN
 *
 * RUN is eight hexadecimal digits: the ids in the messages begin with it, and it is the group.
 * consume prints a line a message: partition, offset, key, traceparent. relay produces, for each
 * message that it reads, one without headers and with the same key to TOPIC-relayed.
 */
const kafka = require('node-rdkafka');

const QUIET_MS = 60000;     /* a client to which nothing happens for so long gives up */
const POLL_MS = 50;

function die(what) {
	console.error('client: ' + what);
	process.exit(1);
}

let patience;

function happened() {
	clearTimeout(patience);
	patience = setTimeout(() => die('nothing happens any more'), QUIET_MS);
}

/* Each message has a trace and a span of its own. */
function traceparent(run, n) {
	const hex = n.toString(16);

	return `00-${run}${hex.padStart(24, '0')}-${run}${hex.padStart(8, '0')}-01`;
}

/* go(producer) once it is connected; done() after count deliveries. */
function withProducer(brokers, count, go, done) {
	const producer = new kafka.Producer({
		'bootstrap.servers': brokers, 'client.id': 'maker', 'dr_cb': true });
	let delivered = 0;

	producer.on('event.error', die);
	producer.on('delivery-report', (error) => {
		happened();
		if (error)
			die(error);
		if (++delivered === count)
			producer.disconnect(done);
	});
	producer.on('ready', () => {
		producer.setPollInterval(POLL_MS);
		go(producer);
	});
	producer.connect();
}

/* each(message) of count messages, then done(). */
function read(brokers, topic, count, run, each, done) {
	const consumer = new kafka.KafkaConsumer({
		'bootstrap.servers': brokers, 'client.id': 'reader', 'group.id': run,
		'session.timeout.ms': 6000 }, { 'auto.offset.reset': 'earliest' });
	let n = 0;

	consumer.on('event.error', die);
	consumer.on('data', (message) => {
		happened();
		each(message);
		if (++n === count)
			consumer.disconnect(done);
	});
	consumer.on('ready', () => {
		consumer.subscribe([topic]);
		consumer.consume();
	});
	consumer.connect();
}

function produce(brokers, topic, count, run) {
	withProducer(brokers, count, (producer) => {
		for (let n = 1; n <= count; n++)
			producer.produce(topic, null, Buffer.from('value ' + n), 'k' + n, null, null,
				[{ n: String(n) }, { traceparent: traceparent(run, n) }]);
	}, () => process.exit(0));
}

function consume(brokers, topic, count, run) {
	const lines = [];

	read(brokers, topic, count, run, (message) => {
		const found = (message.headers || []).find((h) => h.traceparent);

		lines.push([message.partition, message.offset, message.key,
			found ? found.traceparent : '-'].join(' '));
	}, () => {
		console.log(lines.join('\n'));
		process.exit(0);
	});
}

function relay(brokers, topic, count, run) {
	let open = 2;
	const done = () => --open || process.exit(0);

	withProducer(brokers, count, (producer) => {
		read(brokers, topic, count, run, (message) =>
			producer.produce(topic + '-relayed', null, message.value, message.key), done);
	}, done);
}

const [verb, brokers, topic, count, run] = process.argv.slice(2);
const verbs = { produce, consume, relay };

if (!verbs[verb] || !run)
	die('usage: client.js produce|consume|relay BROKERS TOPIC COUNT RUN');
happened();
verbs[verb](brokers, topic, Number(count), run);
