package main

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"
)

func brokerCommand() *cobra.Command {
	var b embeddedBroker
	cmd := &cobra.Command{
		Use:   "broker",
		Short: "Run the embedded broker alone, for development",
		Long: `Runs the broker that is inside vigil, for development only: one node, neither replicated nor safe against a crash of
the machine. Clients are told the address it listens on; for 0.0.0.0 that is the host name, or --advertise.`,
		Example: example(`
			vigil broker
			vigil broker --listen 127.0.0.1:19092 --data /tmp/broker
			vigil broker --listen 0.0.0.0:9092 --advertise broker:9092      in a container`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			addr, stop, err := b.start()
			if err != nil {
				return err
			}
			defer stop()
			kept := "records are kept in memory"
			if b.dir != "" {
				kept = "records are kept in " + b.dir
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "Kafka broker on %s, %s. For development only: one node, not safe against a crash.\n", addr, kept)
			if host, _, _ := net.SplitHostPort(b.listen); !loopback(host) {
				fmt.Fprintf(cmd.ErrOrStderr(), "It listens on %s, without any authentication: everybody who can reach that can read and write.\n", b.listen)
			}
			<-cmd.Context().Done()
			return nil
		},
	}
	cmd.Flags().StringVar(&b.listen, "listen", embeddedAddr, "HOST:PORT to listen on")
	cmd.Flags().StringVar(&b.advertise, "advertise", "", "HOST:PORT that clients are told (default: as listened)")
	cmd.Flags().StringVar(&b.dir, "data", "", "folder for the records (default: in memory)")
	return cmd
}

// loopback tells whether a host is this machine only.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
