package main

import (
	"github.com/spf13/cobra"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "config",
		Short:   "Show the configuration",
		Example: example("vigil config show --origin"),
		Args:    noCommand,
		RunE:    group,
	}
	cmd.AddCommand(configShowCommand())
	return cmd
}

func configShowCommand() *cobra.Command {
	var s settings
	var origin bool
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration as it is in effect, secrets masked",
		Long: `Prints what the file, the environment (VIGIL_*) and -X make of the defaults, as a file that vigil reads.
With --origin each value says where it came from. Exit code 3, with every mistake, if it cannot be used.`,
		Example: example(`
			vigil config show
			vigil config show --config vigil.yaml --origin
			VIGIL_KAFKA_BROKERS=localhost:9092 vigil config show --origin`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := s.load()
			if err != nil {
				return err
			}
			return loaded.Show(cmd.OutOrStdout(), origin)
		},
	}
	s.flags(cmd)
	cmd.Flags().BoolVar(&origin, "origin", false, "say where each value came from")
	return cmd
}
