module client

go 1.23.0

require github.com/confluentinc/confluent-kafka-go/v2 v2.11.1
