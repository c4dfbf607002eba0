package flowtest

import (
	"maps"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"vigil/config"
)

const (
	brokerVar  = "VIGIL_KAFKA_BROKERS"
	nameVar    = "VIGIL_INSTANCE"
	secretVar  = "SHOP_SECRET"           // of deploy/compose/endpoints/shop.yaml and of the receiver
	broker     = "kafka:9092"            // within the stack
	hostBroker = "127.0.0.1:19092:19092" // for clients on this machine
	kafkaImage = "apache/kafka:4.1.0"    // the version of flowtest/kafka/pom.xml
)

// composed is the part of a compose file that the tests speak of.
type composed struct {
	Services map[string]struct {
		Image       string            `yaml:"image"`
		Command     []string          `yaml:"command"`
		Environment map[string]string `yaml:"environment"`
		Ports       []string          `yaml:"ports"`
		Volumes     []string          `yaml:"volumes"`
		Healthcheck struct {
			Test []string `yaml:"test"`
		} `yaml:"healthcheck"`
	} `yaml:"services"`
}

func compose(t *testing.T) composed {
	t.Helper()
	var c composed
	if err := yaml.Unmarshal(read(t, "../docker-compose.yml"), &c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestComposeServices(t *testing.T) {
	c := compose(t)
	want := map[string][]string{
		"kafka":       nil,
		"topics":      {"topics", "create"},
		"processor-1": {"processor"},
		"processor-2": {"processor"},
		"sink":        {"sink"},
		"receiver":    {"demo-receiver", "--listen", ":8080"},
		"generator":   {"demo-generator", "--brokers", broker},
	}
	got := map[string][]string{}
	for name, s := range c.Services {
		got[name] = s.Command
		if image := map[bool]string{true: kafkaImage, false: "vigil:local"}[name == "kafka"]; s.Image != image {
			t.Errorf("%s runs %s, want %s", name, s.Image, image)
		}
		if s.Healthcheck.Test == nil && name != "topics" && name != "generator" {
			t.Errorf("%s has no healthcheck", name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if pom := string(read(t, "kafka/pom.xml")); !strings.Contains(pom, "<kafka.version>"+strings.TrimPrefix(kafkaImage, "apache/kafka:")) {
		t.Error("docker-compose.yml and flowtest/kafka/pom.xml name different versions of Kafka")
	}
}

// TestComposeSetsLittle wants the stack to run on the defaults: the brokers, a name and secrets are all it may set.
func TestComposeSetsLittle(t *testing.T) {
	for name, s := range compose(t).Services {
		for key := range s.Environment {
			if name != "kafka" && !slices.Contains([]string{brokerVar, nameVar, secretVar}, key) {
				t.Errorf("%s sets %s", name, key)
			}
		}
		if address, set := s.Environment[brokerVar]; set && address != broker {
			t.Errorf("%s looks for Kafka at %s", name, address)
		}
		if strings.HasPrefix(name, "processor") && s.Environment[nameVar] != name {
			t.Errorf("%s calls itself %q", name, s.Environment[nameVar])
		}
	}
}

func TestComposeKafka(t *testing.T) {
	kafka := compose(t).Services["kafka"]
	if diff := cmp.Diff([]string{hostBroker}, kafka.Ports); diff != "" {
		t.Error(diff)
	}
	want := "PLAINTEXT://" + broker + ",HOST://localhost:19092"
	if got := kafka.Environment["KAFKA_ADVERTISED_LISTENERS"]; got != want {
		t.Errorf("Kafka tells clients %s, want %s", got, want)
	}
	if kafka.Environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] != "false" {
		t.Error("Kafka creates topics that nobody asked for")
	}
}

// TestComposeMatchesDefaults wants every mount where a default looks for it, from the root of the image, and the health
// check to ask where the admin listener is.
func TestComposeMatchesDefaults(t *testing.T) {
	d := config.Default()
	folders := []string{path.Join("/", d.DataDir), path.Join("/", d.Campaigns), path.Join("/", d.Endpoints)}
	for name, s := range compose(t).Services {
		for _, volume := range s.Volumes {
			inside := strings.Split(volume, ":")[1]
			if name != "kafka" && !slices.Contains(folders, inside) {
				t.Errorf("%s mounts %s, where no default looks", name, inside)
			}
		}
		plain := slices.Equal(s.Healthcheck.Test, []string{"CMD", "/vigil", "healthcheck"})
		if runs := len(s.Command) == 1; runs != plain {
			t.Errorf("%s: the health check is %v", name, s.Healthcheck.Test)
		}
	}
	if !strings.HasPrefix(d.Admin.Listen, "127.0.0.1:") {
		t.Errorf("the health check asks this machine, the admin listener is %s", d.Admin.Listen)
	}
	if !strings.Contains(string(read(t, "../Dockerfile")), "\nVOLUME "+folders[0]+"\n") {
		t.Errorf("the image has no folder %s", folders[0])
	}
}

// TestDemoCampaignsReadTheInputTopic wants the generator and the processors to meet without being told where.
func TestDemoCampaignsReadTheInputTopic(t *testing.T) {
	if diff := cmp.Diff([]string{"events"}, config.Default().Input.Topics); diff != "" {
		t.Errorf("demo-generator writes to events: %s", diff)
	}
}

// TestImageStages wants both ways to the image to end in the same one.
func TestImageStages(t *testing.T) {
	_, text, _ := strings.Cut(string(read(t, "../Dockerfile")), "FROM scratch AS local\n")
	local, _, _ := strings.Cut(text, "\n\n")
	_, built, _ := strings.Cut(text, "FROM scratch AS vigil\n")
	same := strings.NewReplacer(
		"--from=build /etc/ssl/certs/ca-certificates.crt", "bin/image/ca-certificates.crt",
		"--from=build --chown=65532:65532 /", "--chown=65532:65532 bin/image/",
		"--from=build /vigil", "bin/image/vigil")
	if diff := cmp.Diff(local, same.Replace(strings.TrimSpace(built))); diff != "" {
		t.Error(diff)
	}
}

// TestComposeOverlay wants the stand-in to replace services that are there, and to leave alone what vigil itself runs.
func TestComposeOverlay(t *testing.T) {
	var overlay composed
	if err := yaml.Unmarshal(read(t, "../deploy/compose/local.yml"), &overlay); err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(maps.Keys(overlay.Services)); !slices.Equal(got, []string{"kafka"}) {
		t.Errorf("deploy/compose/local.yml changes %v", got)
	}
}
