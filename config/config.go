// Package config is vigil.yaml as data: defaults, a strict load from file, environment and flags, and one Validate
// that names every mistake. Rooms get their section by value; nothing here knows what they do with it.
package config

import "time"

// Config is the whole configuration (interface 2).
type Config struct {
	Kafka       Kafka     `yaml:"kafka"`
	Input       Input     `yaml:"input"`
	TopicPrefix string    `yaml:"topic_prefix"`
	Group       string    `yaml:"group"`
	Instance    string    `yaml:"instance"`
	DataDir     string    `yaml:"data_dir"`
	Campaigns   string    `yaml:"campaigns"`
	Endpoints   string    `yaml:"endpoints"`
	Processor   Processor `yaml:"processor"`
	Sink        Sink      `yaml:"sink"`
	Admin       Admin     `yaml:"admin"`
	Log         Log       `yaml:"log"`
}

// Kafka says how to reach the brokers. Brokers is ["embedded"] for the broker inside the process.
type Kafka struct {
	Brokers    []string          `yaml:"brokers"`
	Properties map[string]string `yaml:"properties"`
}

// Input says which records are events and where their parts are.
type Input struct {
	Topics        []string `yaml:"topics"`
	ProfilesTopic string   `yaml:"profiles_topic"`
	Format        string   `yaml:"format"`
	Fields        Fields   `yaml:"fields"`
	Start         string   `yaml:"start"`
}

// Fields are dotted paths into the payload; an empty User is the record key.
type Fields struct {
	User       string `yaml:"user"`
	Type       string `yaml:"type"`
	ID         string `yaml:"id"`
	Time       string `yaml:"time"`
	Properties string `yaml:"properties"`
}

// Processor bounds time and work of the processor.
type Processor struct {
	AllowedLateness    time.Duration `yaml:"allowed_lateness"`
	MaxEventAge        time.Duration `yaml:"max_event_age"`
	MaxFireDelay       time.Duration `yaml:"max_fire_delay"`
	CommitInterval     time.Duration `yaml:"commit_interval"`
	CheckpointInterval time.Duration `yaml:"checkpoint_interval"`
	ClockGrace         time.Duration `yaml:"clock_grace"`
	Workers            int           `yaml:"workers"` // 0: one per CPU
}

// Sink bounds the sink.
type Sink struct {
	MaxInFlight    int      `yaml:"max_in_flight"`
	DefaultSecrets []string `yaml:"default_secrets"` // for inline URLs; env:NAME or file:PATH
}

// Admin is the HTTP listener of /healthz and the like.
type Admin struct {
	Listen string `yaml:"listen"`
}

// Log says what is logged and how.
type Log struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"` // auto | console | json
}
