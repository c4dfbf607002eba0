// Package config is vigil.yaml as values: defaults, a strict load from file, environment and flags, and one Validate
// that names every mistake. Rooms get their section by value; nothing here knows what they do with it.
package config

import "time"

// Config is the whole configuration (interface 2). The tags of its fields are what is documented and checked of a key:
// doc is a sentence, oneof the closed list of values, range least..most or, for a text, what it may be; numbers lets the
// entries of a list be written as such. Single quotes mark code.
type Config struct {
	Kafka       Kafka     `yaml:"kafka"`
	Input       Input     `yaml:"input"`
	TopicPrefix string    `yaml:"topic_prefix" range:"1 to 200 of a-z 0-9 . -" doc:"First part of the names of all topics that vigil writes."`
	Group       string    `yaml:"group" range:"1 to 200 printable characters, no spaces" doc:"First part of the consumer groups GROUP.processor and GROUP.sink."`
	Instance    string    `yaml:"instance" range:"1 to 200 of a-z A-Z 0-9 . _ -" doc:"Static member id, unique among the processes of a group; the host name where it is not set."`
	DataDir     string    `yaml:"data_dir" range:"a folder" doc:"Folder of the state, which can be rebuilt from PREFIX.state, of the sink's completion file, which it can do without, and of the embedded broker."`
	Campaigns   string    `yaml:"campaigns" range:"a folder, or 'topic'" doc:"Folder of campaign files; 'topic' is the topic PREFIX.campaigns, which this version refuses to run on."`
	Endpoints   string    `yaml:"endpoints" range:"a folder" doc:"Folder of endpoints files."`
	Processor   Processor `yaml:"processor"`
	Sink        Sink      `yaml:"sink"`
	Admin       Admin     `yaml:"admin"`
	Log         Log       `yaml:"log"`
}

// Embedded is the word in Kafka.Brokers for the broker inside the process, CampaignsTopic that in Campaigns for the
// topic PREFIX.campaigns.
const (
	Embedded       = "embedded"
	CampaignsTopic = "topic"
)

// Kafka says how to reach the brokers. Brokers is ["embedded"] for the broker inside the process.
type Kafka struct {
	Brokers    []string   `yaml:"brokers" range:"'embedded', or a list of HOST:PORT" doc:"Where Kafka is; 'embedded' is the broker inside the process, on 127.0.0.1:9092."`
	Properties Properties `yaml:"properties" range:"see below" doc:"Other Kafka settings, under the names that librdkafka and the Java client use."`
}

// IsEmbedded tells whether the broker is the one inside the process.
func (k Kafka) IsEmbedded() bool { return len(k.Brokers) == 1 && k.Brokers[0] == Embedded }

// Input says which records are events and where their parts are.
type Input struct {
	Topics        []string `yaml:"topics" range:"at least one topic" doc:"Topics with events, all with the same partition count and partitioner."`
	ProfilesTopic string   `yaml:"profiles_topic" range:"a topic, or empty" doc:"Compacted topic whose values are whole profiles, co-partitioned with the inputs; a tombstone unsets all."`
	Format        string   `yaml:"format" oneof:"json,cloudevents" doc:"What a record is where its content-type does not say."`
	Fields        Fields   `yaml:"fields"`
	Start         string   `yaml:"start" range:"'latest', 'earliest' or an RFC 3339 time" doc:"Where a new group begins to read."`
}

// Fields are dotted paths into the payload; an empty User is the record key.
type Fields struct {
	User       string `yaml:"user" range:"a path, or empty" doc:"Where the user is in the payload; empty is the record key."`
	Type       string `yaml:"type" range:"a path" doc:"Where the type of the event is."`
	ID         string `yaml:"id" range:"a path" doc:"Where the id of the event is."`
	Time       string `yaml:"time" range:"a path" doc:"Where the time of the event is."`
	Properties string `yaml:"properties" range:"a path" doc:"Where the properties of the event are."`
}

// Processor bounds time and work of the processor.
type Processor struct {
	AllowedLateness    time.Duration `yaml:"allowed_lateness" range:"0s..24h" doc:"How long a timer waits for late events after its deadline."`
	MaxEventAge        time.Duration `yaml:"max_event_age" range:"0s..400d" doc:"An event that was older than this when it was recorded starts nothing."`
	MaxFireDelay       time.Duration `yaml:"max_fire_delay" range:"0s..400d" doc:"A fire that is later than this by the clock of the data is past due."`
	CommitInterval     time.Duration `yaml:"commit_interval" range:"10ms..10s" doc:"Time between transactions, which a fire waits for."`
	CheckpointInterval time.Duration `yaml:"checkpoint_interval" range:"100ms..1h" doc:"Least time between writes to data_dir."`
	ClockGrace         time.Duration `yaml:"clock_grace" range:"0s..1h" doc:"How far the clock of an idle partition stays behind the wall clock, for what producers still hold."`
	Workers            int           `yaml:"workers" range:"0..1024" doc:"Partitions worked on at a time; 0 is one per CPU."`
	MemoryMiB          int           `yaml:"memory_mib" range:"0..1048576" doc:"Memory that the process aims to stay within, in MiB: half of it holds user records, the others are read from data_dir when they are needed. 0 holds 1024 MiB of records and sets no limit."`
}

// Sink bounds the sink.
type Sink struct {
	MaxInFlight    int      `yaml:"max_in_flight" range:"1..100000" doc:"Attempts at a time."`
	DefaultSecrets []string `yaml:"default_secrets" range:"env:NAME or file:PATH" doc:"Secrets that sign webhooks to a 'url' of a campaign; several while one is being replaced."`
	AllowPorts     []string `yaml:"allow_ports" numbers:"" range:"ports from 1 to 65535" doc:"Ports that a 'url' of a campaign may name besides 80, 443, 8080 and 8443; an endpoints file may name any that is not always refused."`
	Deny           []string `yaml:"deny" range:"addresses or ranges such as 10.42.0.0/16" doc:"Addresses that no webhook may reach, 'allow_private' or not: pods, services, brokers."`
	NAT64          string   `yaml:"nat64" oneof:"refuse,allow" doc:"Whether an address of 64:ff9b::/96 is judged by the IPv4 address that it carries, for clusters that have IPv6 only; else it is refused."`
	Proxy          string   `yaml:"proxy" range:"http://HOST:PORT or https://HOST:PORT, or empty" doc:"Egress proxy that all webhooks leave through, by CONNECT to an address that the guard has judged; never taken from the environment."`
	ProxyAuth      string   `yaml:"proxy_auth" range:"env:NAME or file:PATH, or empty" doc:"Where user:password of the proxy is."`
	Responses      string   `yaml:"responses" oneof:"discard,keep" doc:"Whether the first 4 KiB of an answer are kept in PREFIX.attempts, where they are printable."`
}

// Admin is the HTTP listener of /healthz and the like.
type Admin struct {
	Listen string `yaml:"listen" range:"HOST:PORT, or empty" doc:"Address of /healthz /readyz /metrics /version /debug/pprof; empty is none."`
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level" oneof:"trace,debug,info,warn,error" doc:"The least level that is logged."`
	Format string `yaml:"format" oneof:"auto,console,json" doc:"How it is logged; 'auto' is console on a terminal, else json."`
}

// Default is the configuration of interface 2: it runs on one laptop.
func Default() Config {
	return Config{
		Kafka: Kafka{Brokers: []string{Embedded}, Properties: Properties{}},
		Input: Input{
			Topics: []string{"events"}, Format: "json", Start: "latest",
			Fields: Fields{Type: "type", ID: "id", Time: "time", Properties: "properties"},
		},
		TopicPrefix: "vigil",
		Group:       "vigil",
		DataDir:     "./vigil-data",
		Campaigns:   "./campaigns",
		Endpoints:   "./endpoints",
		Processor: Processor{
			AllowedLateness: 2 * time.Second, MaxEventAge: 2 * time.Hour, MaxFireDelay: 24 * time.Hour,
			CommitInterval: 100 * time.Millisecond, CheckpointInterval: 3 * time.Second, ClockGrace: time.Second,
		},
		Sink:  Sink{MaxInFlight: 256, DefaultSecrets: []string{}, AllowPorts: []string{}, Deny: []string{}, NAT64: "refuse", Responses: "discard"},
		Admin: Admin{Listen: "127.0.0.1:9321"},
		Log:   Log{Level: "info", Format: "auto"},
	}
}
