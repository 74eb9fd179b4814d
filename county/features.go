package county

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"

	"dalaba/county/store"
	"dalaba/link"
	"dalaba/playlist"
)

// lacking lists the controllers that do not understand a feature. A controller
// says what it understands in each sync; one that has said nothing understands
// what release 0.1 does.
func lacking(feature string, list []store.Controller) (all []store.Controller) {
	for _, k := range list {
		if !understands(k, feature) {
			all = append(all, k)
		}
	}
	return all
}

// understands reports whether a controller understands a feature.
func understands(k store.Controller, feature string) bool {
	h, err := health(k)
	return err == nil && slices.Contains(h.Understands, feature)
}

// understood refuses a manifest with a feature that a controller of its scope
// does not understand: that controller would refuse the whole manifest. The
// error names every such feature and its controllers.
func (p *programmes) understood(ctx context.Context, m playlist.Manifest) error {
	used := slices.DeleteFunc(slices.Clone(p.features), func(f link.Feature) bool { return f.InManifest == nil || !f.InManifest(m) })
	if len(used) == 0 {
		return nil
	}
	followers, err := p.fleet.followers(ctx, m.Scope)
	if err != nil {
		return err
	}
	var all []error
	for _, f := range used {
		if without := lacking(f.Name, followers); len(without) > 0 {
			all = append(all, invalid("county.not_understood", f.Name, len(without), named(without)))
		}
	}
	return errors.Join(all...)
}

// mostNamed is how many controllers a message to a person names.
const mostNamed = 10

// named names controllers as a person knows them.
func named(list []store.Controller) string {
	var all []string
	for _, k := range list[:min(len(list), mostNamed)] {
		all = append(all, nameAndID(k))
	}
	if len(list) > mostNamed {
		all = append(all, "…")
	}
	return strings.Join(all, ", ")
}

// fit leaves out of the alerts of a scope what a controller that follows it does
// not understand. An alert is never refused for that. If the store does not say
// who follows the scope, all that release 0.1 does not understand is left out.
func (o *orders) fit(ctx context.Context, scope playlist.Scope, alerts []link.AlertInForce) {
	followers := sync.OnceValues(func() ([]store.Controller, error) { return o.fleet.followers(ctx, scope) })
	for i := range alerts {
		for _, f := range o.features {
			less := alerts[i]
			if f.LeaveOut == nil || !f.LeaveOut(&less) {
				continue
			}
			list, err := followers()
			without := lacking(f.Name, list)
			if err == nil && len(without) == 0 {
				continue
			}
			alerts[i] = less
			log := o.log.With("alert", less.Alert.ID, "scope", scope, "feature", f.Name)
			if err != nil {
				log.Error("left out of the alert: who follows the scope is not known", "err", err)
				continue
			}
			log.Warn("left out of the alert: not all controllers understand it", "controllers", named(without))
		}
	}
}
