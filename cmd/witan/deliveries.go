package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	ingestv1 "witan.dev/gen/witan/ingest/v1"
)

// deliveriesPage is how many deliveries one call lists at most.
const deliveriesPage = 500

func (a *app) deliveriesCommand() *cobra.Command {
	var server string
	cmd := &cobra.Command{
		Use:   "deliveries",
		Short: "List, show and handle webhooks again",
		Long: `List, show and handle again the webhooks that were accepted. One that is DEAD could not be handed over, one that is UNPARSED
has a body that this version cannot read; "redeliver" handles either again, once what was wrong is mended.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.PersistentFlags().StringVar(&server, "server", "", "address of a server (host:port)")
	with := func(run func(ctx context.Context, c ingestv1.IngestServiceClient, args []string) error) func(*cobra.Command, []string) error {
		return func(cmd *cobra.Command, args []string) error {
			s, err := a.session(cmd.Context(), cmd, server, true, []string{serviceIngest})
			if err != nil {
				return err
			}
			defer a.disconnect(cmd.Context(), s)
			return run(cmd.Context(), ingestv1.NewIngestServiceClient(s.conn), args)
		}
	}
	cmd.AddCommand(
		a.deliveriesListCommand(with),
		&cobra.Command{Use: "show DELIVERY", Short: "Print a delivery as JSON", Args: cobra.ExactArgs(1), RunE: with(
			func(ctx context.Context, c ingestv1.IngestServiceClient, args []string) error {
				d, err := c.GetDelivery(ctx, &ingestv1.GetDeliveryRequest{Name: deliveryName(args[0])})
				if err != nil {
					return err
				}
				return a.printJSON(d)
			})},
		&cobra.Command{
			Use: "redeliver DELIVERY ...", Short: "Handle what was delivered once more", Args: someDeliveries,
			Long: `Handle the stored bodies of deliveries once more, each under a new name: the old one with ~1, ~2 … behind it. What a
delivery started before stays as it is. Prints the new deliveries and their states.`,
			Example: "  witan deliveries list --state dead\n  witan deliveries redeliver 72d3162e-cc78-11e3-81ab-4c9367dc0958",
			RunE:    with(a.redeliver),
		},
	)
	return cmd
}

func (a *app) deliveriesListCommand(
	with func(func(context.Context, ingestv1.IngestServiceClient, []string) error) func(*cobra.Command, []string) error,
) *cobra.Command {
	var state string
	var wanted deliveryFilter
	var limit int
	list := &cobra.Command{
		Use: "list", Short: "List deliveries, newest first", Args: cobra.NoArgs,
		Long:    `List deliveries, newest first. Dead letters, those that could not be handed over, are in the state dead.`,
		Example: "  witan deliveries list --state dead\n  witan deliveries list --event pull_request --hide-ignored --limit 20",
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if wanted.state, err = parseDeliveryState(state); err != nil {
				return err
			}
			if wanted.hideIgnored && wanted.state == ingestv1.Delivery_IGNORED {
				return errors.New("--state ignored and --hide-ignored: nothing is both")
			}
			if limit < 1 {
				return fmt.Errorf("--limit %d is less than 1", limit)
			}
			return with(func(ctx context.Context, c ingestv1.IngestServiceClient, _ []string) error {
				return a.listDeliveries(ctx, c, wanted, limit)
			})(cmd, args)
		},
	}
	list.Flags().StringVar(&state, "state", "", "only this state: "+strings.ToLower(strings.Join(deliveryStates(), ", ")))
	list.Flags().StringVar(&wanted.event, "event", "", "only this event of GitHub: pull_request, push, …")
	list.Flags().BoolVar(&wanted.hideIgnored, "hide-ignored", false, "leave out those that called for nothing")
	list.Flags().IntVar(&limit, "limit", deliveriesPage, "at most so many")
	return list
}

func someDeliveries(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name the deliveries to handle again, as `witan deliveries list` shows them: witan deliveries redeliver DELIVERY")
	}
	return nil
}

// deliveryFilter chooses deliveries; the zero value means all.
type deliveryFilter struct {
	state       ingestv1.Delivery_State
	event       string
	hideIgnored bool
}

func (f deliveryFilter) shows(d *ingestv1.Delivery) bool {
	return (f.event == "" || d.GetEvent() == f.event) && (!f.hideIgnored || d.GetState() != ingestv1.Delivery_IGNORED)
}

// deliveryName accepts a delivery by its name or its ID.
func deliveryName(arg string) string { return "deliveries/" + strings.TrimPrefix(arg, "deliveries/") }

// deliveryStates are the states that a delivery can be in.
func deliveryStates() []string {
	var names []string
	for number := int32(1); ingestv1.Delivery_State_name[number] != ""; number++ {
		names = append(names, ingestv1.Delivery_State_name[number])
	}
	return names
}

// parseDeliveryState reads a state in any case; empty is any.
func parseDeliveryState(name string) (ingestv1.Delivery_State, error) {
	if name == "" {
		return ingestv1.Delivery_STATE_UNSPECIFIED, nil
	}
	number, ok := ingestv1.Delivery_State_value[strings.ToUpper(name)]
	if !ok || number == 0 {
		return 0, fmt.Errorf("--state %q is none of %s", name, strings.ToLower(strings.Join(deliveryStates(), ", ")))
	}
	return ingestv1.Delivery_State(number), nil
}

// listDeliveries prints at most limit deliveries. The server chooses by state alone: all others are read and left out here.
func (a *app) listDeliveries(ctx context.Context, c ingestv1.IngestServiceClient, wanted deliveryFilter, limit int) error {
	table := tabwriter.NewWriter(a.stdout, 0, 8, 2, ' ', 0)
	_, _ = fmt.Fprintln(table, "DELIVERY\tEVENT\tACTION\tSTATE\tREASON\tRESOURCE\tRECEIVED")
	req := &ingestv1.ListDeliveriesRequest{State: wanted.state}
	for limit > 0 {
		req.PageSize = int32(min(limit, deliveriesPage))
		if wanted.event != "" || wanted.hideIgnored {
			req.PageSize = deliveriesPage
		}
		page, err := c.ListDeliveries(ctx, req)
		if err != nil {
			return err
		}
		for _, d := range page.GetDeliveries() {
			if limit == 0 {
				break
			}
			if !wanted.shows(d) {
				continue
			}
			limit--
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", d.GetName(), d.GetEvent(), d.GetAction(), d.GetState(), d.GetStateReason(),
				d.GetResource(), d.GetReceiveTime().AsTime().Local().Format("2006-01-02 15:04:05"))
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	return table.Flush()
}

// redeliver ends with the first delivery that is refused. A call that is repeated after a cut acts once.
func (a *app) redeliver(ctx context.Context, c ingestv1.IngestServiceClient, args []string) error {
	for _, arg := range args {
		d, err := c.Redeliver(ctx, &ingestv1.RedeliverRequest{Name: deliveryName(arg), RequestId: uuid.NewString()})
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(a.stdout, "%s\t%s\n", d.GetName(), d.GetState()); err != nil {
			return err
		}
	}
	return nil
}
