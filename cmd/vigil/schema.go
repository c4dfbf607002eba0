package main

import (
	"github.com/spf13/cobra"

	"vigil/campaign"
	"vigil/config"
	"vigil/config/endpoints"
)

func schemaCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schema campaign|config|endpoint",
		Short: "Print the JSON Schema of a kind of file, for editors",
		Long: `Prints a JSON Schema (draft 2020-12). Most editors complete and check a file that begins with
# yaml-language-server: $schema=PATH`,
		Example: example(`
			vigil schema campaign > campaign.schema.json
			vigil schema config > vigil.schema.json`),
		Args: noCommand,
		RunE: group,
	}
	for _, kind := range []struct {
		name, short string
		schema      func() []byte
	}{
		{"campaign", "Print the JSON Schema of a campaign file", campaign.Schema},
		{"config", "Print the JSON Schema of vigil.yaml", config.Schema},
		{"endpoint", "Print the JSON Schema of an endpoints file", endpoints.Schema},
	} {
		cmd.AddCommand(&cobra.Command{
			Use:   kind.name,
			Short: kind.short,
			Args:  exactly(),
			RunE: func(cmd *cobra.Command, _ []string) error {
				_, err := cmd.OutOrStdout().Write(kind.schema())
				return err
			},
		})
	}
	return cmd
}
