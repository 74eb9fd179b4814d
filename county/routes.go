package county

import (
	"bytes"
	"io"
	"net/http"

	"dalaba/web"
)

// access is who may use a route.
type access int

const (
	anyone   access = iota // no token is needed
	admitted               // the holder of the token, or of a session
	operator               // only the operator of this machine, by its socket
)

// route is an entry of the API. do returns what goes out as JSON.
type route struct {
	method, path string
	who          access
	do           func(*api, *http.Request) (any, error)
}

// routes is the whole API.
var routes = []route{
	{"POST", "/api/login", anyone, (*api).login},
	{"POST", "/api/logout", admitted, (*api).logout},
	{"POST", "/api/admin", admitted, (*api).setAdmin},
	{"GET", "/api/status", admitted, (*api).status},

	{"GET", "/api/fleet", admitted, (*api).listFleet},
	{"GET", "/api/codes", admitted, (*api).listCodes},
	{"POST", "/api/codes", admitted, (*api).addCode},
	{"POST", "/api/controllers/{id}/approve", admitted, (*api).approve},
	{"POST", "/api/controllers/{id}/retire", admitted, (*api).retire},
	{"POST", "/api/controllers/{id}/revoke", admitted, (*api).revoke},
	{"POST", "/api/controllers/{id}/move", admitted, (*api).move},
	{"GET", "/api/controllers/{id}/log", admitted, (*api).controllerLog},

	{"GET", "/api/clips", admitted, (*api).listClips},
	{"GET", "/api/clips/{id}", admitted, (*api).clip},
	{"POST", "/api/clips", admitted, (*api).addClip},

	{"POST", "/api/propose", admitted, (*api).propose},
	{"POST", "/api/push", admitted, (*api).push},
	{"POST", "/api/publish", admitted, (*api).publish},
	{"POST", "/api/unsigned", admitted, (*api).unsigned},
	{"GET", "/api/manifests", admitted, (*api).listManifests},
	{"GET", "/api/earlier", admitted, (*api).earlier},
	{"POST", "/api/rollback", admitted, (*api).rollback},
	{"GET", "/api/difference", admitted, (*api).difference},
	{"GET", "/api/week", admitted, (*api).week},
	{"GET", "/api/delivery", admitted, (*api).delivery},

	{"GET", "/api/documents", admitted, (*api).listDocuments},
	{"POST", "/api/trust", admitted, (*api).addTrust},
	{"POST", "/api/import", operator, (*api).importCarrier},

	{"GET", "/api/reach", admitted, (*api).reachReport},

	{"GET", "/api/alerts", admitted, (*api).listAlerts},
	{"POST", "/api/alerts", admitted, (*api).alertByHand},
	{"POST", "/api/alerts/message", admitted, (*api).alertByFile},
	{"POST", "/api/alerts/update", admitted, (*api).updateAlert},
	{"POST", "/api/alerts/release", admitted, (*api).releaseAlert},
	{"POST", "/api/alerts/decline", admitted, (*api).declineAlert},
	{"GET", "/api/templates", admitted, (*api).listTemplates},
	{"GET", "/api/account", admitted, (*api).alertAccount},
	{"GET", "/api/times", admitted, (*api).alertTimes},
	{"POST", "/api/cancel", admitted, (*api).cancelAlert},
	{"GET", "/api/ebd", admitted, (*api).listEBD},

	{"GET", "/api/notices", admitted, (*api).listNotices},
	{"POST", "/api/notices/test", admitted, (*api).testNotice},
}

// networkAPI serves the API to the network.
func (a *api) networkAPI() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		if r.who == operator {
			continue
		}
		mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, q *http.Request) {
			q, err := a.enter(r.who, w, q)
			if err != nil {
				a.write(w, q, nil, err)
				return
			}
			v, err := r.do(a, q)
			a.write(w, q, v, err)
		})
	}
	return mux
}

// enter lets a request in that may use a route, and notes who sent it. Of a stranger's request, the body has
// been read then, and its place is free for the next: a login may have to wait.
func (a *api) enter(who access, w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	if who == anyone {
		raw, done, err := a.unproven.Read(w, r, maxUnproven, a.accounts.knows(r.RemoteAddr))
		if err != nil {
			return r, err
		}
		done()
		r.Body = io.NopCloser(bytes.NewReader(raw))
		return r, nil
	}
	user, err := a.accounts.admit(r)
	if err != nil {
		return r, err
	}
	web.Known(r)
	return r.WithContext(As(r.Context(), user)), nil
}

// operatorAPI serves the API to the operator of this machine.
func (a *api) operatorAPI() http.Handler {
	mux := http.NewServeMux()
	for _, r := range routes {
		mux.HandleFunc(r.method+" "+r.path, func(w http.ResponseWriter, q *http.Request) {
			v, err := r.do(a, q)
			a.write(w, q, v, err)
		})
	}
	return mux
}
