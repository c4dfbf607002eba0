// Package config is vigil.yaml as values: defaults, a strict load from file, environment and flags, and one Validate
// that names every mistake. Rooms get their section by value; nothing here knows what they do with it.
package config

import "time"

// Config is the whole configuration (interface 2). The tags of the fields are the documentation of the keys, with
// single quotes for code, and the closed list of values where there is one.
type Config struct {
	Kafka       Kafka     `yaml:"kafka"`
	Input       Input     `yaml:"input"`
	TopicPrefix string    `yaml:"topic_prefix" doc:"of the names of all topics that vigil writes"`
	Group       string    `yaml:"group" doc:"consumer groups are GROUP.processor and GROUP.sink"`
	Instance    string    `yaml:"instance" doc:"static member id, unique among the processes of a group; empty: the host name"`
	DataDir     string    `yaml:"data_dir" doc:"folder for state/PARTITION, which is disposable, and for the embedded broker"`
	Campaigns   string    `yaml:"campaigns" doc:"folder of campaign files, or 'topic' for PREFIX.campaigns"`
	Endpoints   string    `yaml:"endpoints" doc:"folder of endpoints files"`
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
	Brokers    []string          `yaml:"brokers" doc:"'embedded' for the broker inside the process on 127.0.0.1:9092, or a list of HOST:PORT"`
	Properties map[string]string `yaml:"properties" doc:"other Kafka settings by their usual names, see below"`
}

// IsEmbedded tells whether the broker is the one inside the process.
func (k Kafka) IsEmbedded() bool { return len(k.Brokers) == 1 && k.Brokers[0] == Embedded }

// Input says which records are events and where their parts are.
type Input struct {
	Topics        []string `yaml:"topics" doc:"topics with events; all with the same partition count and partitioner"`
	ProfilesTopic string   `yaml:"profiles_topic" doc:"compacted topic whose values are whole profiles, a tombstone unsets all; co-partitioned with the inputs; empty: none"`
	Format        string   `yaml:"format" oneof:"json,cloudevents" doc:"'json' or 'cloudevents': what a record is whose headers do not say"`
	Fields        Fields   `yaml:"fields"`
	Start         string   `yaml:"start" doc:"where a new group begins: 'latest', 'earliest' or an RFC 3339 time"`
}

// Fields are dotted paths into the payload; an empty User is the record key.
type Fields struct {
	User       string `yaml:"user" doc:"dotted path to the user; empty: the record key"`
	Type       string `yaml:"type" doc:"dotted path to the type of the event"`
	ID         string `yaml:"id" doc:"dotted path to the id of the event"`
	Time       string `yaml:"time" doc:"dotted path to the time of the event"`
	Properties string `yaml:"properties" doc:"dotted path to the properties of the event"`
}

// Processor bounds time and work of the processor.
type Processor struct {
	AllowedLateness    time.Duration `yaml:"allowed_lateness" doc:"how long after its deadline a timer waits for late events"`
	MaxEventAge        time.Duration `yaml:"max_event_age" doc:"events that were older when they were recorded start nothing"`
	MaxFireDelay       time.Duration `yaml:"max_fire_delay" doc:"a fire that is later by the data's clock is past due"`
	CommitInterval     time.Duration `yaml:"commit_interval" doc:"time between transactions: the floor of the latency of a fire"`
	CheckpointInterval time.Duration `yaml:"checkpoint_interval" doc:"least time between writes to data_dir"`
	ClockGrace         time.Duration `yaml:"clock_grace" doc:"how far the clock of an idle partition stays behind the wall clock: producers' linger, and clock skew"`
	Workers            int           `yaml:"workers" doc:"goroutines that share the partitions; 0: one per CPU"`
}

// Sink bounds the sink.
type Sink struct {
	MaxInFlight    int      `yaml:"max_in_flight" doc:"attempts at a time"`
	DefaultSecrets []string `yaml:"default_secrets" doc:"sign for campaigns with a 'url' of their own: env:NAME or file:PATH"`
}

// Admin is the HTTP listener of /healthz and the like.
type Admin struct {
	Listen string `yaml:"listen" doc:"HOST:PORT of /healthz /readyz /metrics /version /debug/pprof; empty: none"`
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level" oneof:"trace,debug,info,warn,error" doc:"'trace', 'debug', 'info', 'warn' or 'error'"`
	Format string `yaml:"format" oneof:"auto,console,json" doc:"'console', 'json', or 'auto': console on a terminal"`
}

// Default is the configuration of interface 2: it runs on one laptop.
func Default() Config {
	return Config{
		Kafka: Kafka{Brokers: []string{Embedded}, Properties: map[string]string{}},
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
		Sink:  Sink{MaxInFlight: 256, DefaultSecrets: []string{}},
		Admin: Admin{Listen: "127.0.0.1:9321"},
		Log:   Log{Level: "info", Format: "auto"},
	}
}
