'use strict';
/*
 * A Kafka client as one is written with node-rdkafka; it knows nothing of tracing.
 *
 *     node client.js produce|consume BROKERS TOPIC COUNT RUN
 *
 * RUN is eight hexadecimal digits: the ids in the messages begin with it, and it is the group.
 * consume prints a line a message: partition, offset, key, traceparent.
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

function produce(brokers, topic, count, run) {
	const producer = new kafka.Producer({
		'bootstrap.servers': brokers, 'client.id': 'maker', 'dr_cb': true });
	let delivered = 0;

	producer.on('event.error', die);
	producer.on('delivery-report', (error) => {
		happened();
		if (error)
			die(error);
		if (++delivered === count)
			producer.disconnect(() => process.exit(0));
	});
	producer.on('ready', () => {
		producer.setPollInterval(POLL_MS);
		for (let n = 1; n <= count; n++)
			producer.produce(topic, null, Buffer.from('value ' + n), 'k' + n, null, null,
				[{ n: String(n) }, { traceparent: traceparent(run, n) }]);
	});
	producer.connect();
}

function consume(brokers, topic, count, run) {
	const consumer = new kafka.KafkaConsumer({
		'bootstrap.servers': brokers, 'client.id': 'reader', 'group.id': run,
		'session.timeout.ms': 6000 }, { 'auto.offset.reset': 'earliest' });
	const lines = [];

	consumer.on('event.error', die);
	consumer.on('data', (message) => {
		const found = (message.headers || []).find((h) => h.traceparent);

		happened();
		lines.push([message.partition, message.offset, message.key,
			found ? found.traceparent : '-'].join(' '));
		if (lines.length === count) {
			console.log(lines.join('\n'));
			consumer.disconnect(() => process.exit(0));
		}
	});
	consumer.on('ready', () => {
		consumer.subscribe([topic]);
		consumer.consume();
	});
	consumer.connect();
}

const [verb, brokers, topic, count, run] = process.argv.slice(2);
const verbs = { produce, consume };

if (!verbs[verb] || !run)
	die('usage: client.js produce|consume BROKERS TOPIC COUNT RUN');
happened();
verbs[verb](brokers, topic, Number(count), run);
