// A Kafka client as one is written with confluent-kafka-go; it knows nothing of tracing.
//
//	client produce|consume|relay BROKERS TOPIC COUNT RUN
//
// RUN is eight hexadecimal digits: the ids in the messages begin with it, and it is the group.
// consume prints a line a message: partition, offset, key, traceparent. relay reads in one goroutine
// and produces, from a pool of others, a message without headers and with the same key to
// TOPIC-relayed for each message read.
package main

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/confluentinc/confluent-kafka-go/v2/kafka"
)

const (
	quiet   = 60 * time.Second // a consumer that gets nothing for so long gives up
	workers = 8
)

// Each message has a trace and a span of its own.
func traceparent(run string, n int) string {
	return fmt.Sprintf("00-%s%024x-%s%08x-01", run, n, run, n)
}

func newProducer(brokers string) (*kafka.Producer, chan error, error) {
	producer, err := kafka.NewProducer(&kafka.ConfigMap{
		"bootstrap.servers": brokers, "client.id": "maker"})
	if err != nil {
		return nil, nil, err
	}
	delivered := make(chan error, 1000)
	go func() {
		for event := range producer.Events() {
			switch e := event.(type) {
			case *kafka.Message:
				delivered <- e.TopicPartition.Error
			case kafka.Error:
				fmt.Fprintln(os.Stderr, "client:", e)
			}
		}
	}()
	return producer, delivered, nil
}

func await(delivered chan error, count int) error {
	for n := 0; n < count; n++ {
		select {
		case err := <-delivered:
			if err != nil {
				return err
			}
		case <-time.After(quiet):
			return fmt.Errorf("only %d delivered", n)
		}
	}
	return nil
}

func produce(brokers, topic string, count int, run string) error {
	producer, delivered, err := newProducer(brokers)
	if err != nil {
		return err
	}
	defer producer.Close()
	go func() {
		for n := 1; n <= count; n++ {
			err := producer.Produce(&kafka.Message{
				TopicPartition: kafka.TopicPartition{
					Topic: &topic, Partition: kafka.PartitionAny},
				Key:   []byte("k" + strconv.Itoa(n)),
				Value: []byte("value " + strconv.Itoa(n)),
				Headers: []kafka.Header{
					{Key: "n", Value: []byte(strconv.Itoa(n))},
					{Key: "traceparent", Value: []byte(traceparent(run, n))}},
			}, nil)
			if err != nil {
				delivered <- err
			}
		}
	}()
	return await(delivered, count)
}

func read(brokers, topic string, count int, run string, each func(*kafka.Message)) error {
	consumer, err := kafka.NewConsumer(&kafka.ConfigMap{
		"bootstrap.servers": brokers, "client.id": "reader", "group.id": run,
		"auto.offset.reset": "earliest", "session.timeout.ms": 6000})
	if err != nil {
		return err
	}
	defer consumer.Close()
	if err = consumer.Subscribe(topic, nil); err != nil {
		return err
	}
	for n := 0; n < count; n++ {
		message, err := consumer.ReadMessage(quiet)
		if err != nil {
			return err
		}
		each(message)
	}
	return nil
}

func consume(brokers, topic string, count int, run string) error {
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	return read(brokers, topic, count, run, func(m *kafka.Message) {
		parent := "-"
		for _, h := range m.Headers {
			if h.Key == "traceparent" {
				parent = string(h.Value)
			}
		}
		fmt.Fprintln(out, m.TopicPartition.Partition, int64(m.TopicPartition.Offset),
			string(m.Key), parent)
	})
}

func relay(brokers, topic string, count int, run string) error {
	producer, delivered, err := newProducer(brokers)
	if err != nil {
		return err
	}
	defer producer.Close()
	target := topic + "-relayed"
	work := make(chan *kafka.Message)
	var pool sync.WaitGroup
	for w := 0; w < workers; w++ {
		pool.Add(1)
		go func() {
			defer pool.Done()
			for m := range work {
				err := producer.Produce(&kafka.Message{
					TopicPartition: kafka.TopicPartition{
						Topic: &target, Partition: kafka.PartitionAny},
					Key: m.Key, Value: m.Value}, nil)
				if err != nil {
					delivered <- err
				}
			}
		}()
	}
	done := make(chan error, 1)
	go func() { done <- await(delivered, count) }()
	err = read(brokers, topic, count, run, func(m *kafka.Message) { work <- m })
	close(work)
	pool.Wait()
	if err != nil {
		return err
	}
	return <-done
}

func main() {
	verbs := map[string]func(string, string, int, string) error{
		"produce": produce, "consume": consume, "relay": relay}
	if len(os.Args) != 6 || verbs[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: client produce|consume|relay BROKERS TOPIC COUNT RUN")
		os.Exit(2)
	}
	count, err := strconv.Atoi(os.Args[4])
	if err == nil {
		err = verbs[os.Args[1]](os.Args[2], os.Args[3], count, os.Args[5])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "client:", err)
		os.Exit(1)
	}
}
