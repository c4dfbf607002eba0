package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "dev"

// buildFacts are what `vigil version` and /version tell.
type buildFacts struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func build() buildFacts {
	b := buildFacts{Version: version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	if read, ok := debug.ReadBuildInfo(); ok {
		for _, s := range read.Settings {
			if s.Key == "vcs.revision" {
				b.Commit = s.Value
			}
		}
	}
	return b
}

func versionCommand() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		Example: example("vigil version\nvigil version -o json"),
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			b := build()
			if output == "json" {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(b)
			}
			if b.Commit != "" {
				b.Version += " (" + b.Commit[:min(12, len(b.Commit))] + ")"
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "vigil %s %s %s\n", b.Version, b.Go, b.System)
			return err
		},
	}
	outputFlag(cmd, &output, "text")
	return cmd
}

// outputFlag adds -o with its two forms.
func outputFlag(cmd *cobra.Command, output *string, plain string) {
	*output = plain
	cmd.Flags().VarP(&choice{output, []string{plain, "json"}}, "output", "o", "form of the output: "+plain+" or json")
}

// jsonFlag takes -o json where there is no other form: scripts give it to every command.
func jsonFlag(cmd *cobra.Command) {
	form := "json"
	cmd.Flags().VarP(&choice{&form, []string{form}}, "output", "o", "form of the output: json")
}

// choice is a flag with a closed list of values.
type choice struct {
	value   *string
	allowed []string
}

func (c *choice) String() string {
	if c.value == nil {
		return ""
	}
	return *c.value
}

func (c *choice) Type() string { return "form" }

func (c *choice) Set(text string) error {
	for _, a := range c.allowed {
		if text == a {
			*c.value = text
			return nil
		}
	}
	return fmt.Errorf("%q is none of %v", text, c.allowed)
}
