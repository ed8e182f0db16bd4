package api

// endpoints is the whole surface. A path in braces is a wildcard of
// http.ServeMux; root paths are not below Prefix. Scopes are alternatives; a
// caller with none of them is refused. No scopes: anybody may call.
var endpoints = []endpoint{
	{method: "POST", path: "/messages", scopes: may(Send), handle: (*API).postMessage, owns: true},
	{method: "GET", path: "/messages", scopes: may(Send, Read), handle: (*API).listMessages},
	{method: "GET", path: "/messages/{id}", scopes: may(Send, Read), handle: (*API).getMessage},
	{method: "DELETE", path: "/messages/{id}", scopes: may(Send), handle: (*API).cancelMessage},
	{method: "POST", path: "/messages/{id}/resend", scopes: may(Send), handle: (*API).resendMessage},
	{method: "POST", path: "/messages/{id}/settle", scopes: may(Send), handle: (*API).settleMessage},
	{method: "POST", path: "/preview", scopes: may(Send), handle: (*API).preview, body: maxSelection},

	{method: "GET", path: "/inbox", scopes: may(Read), handle: (*API).listInbox},
	{method: "GET", path: "/events", scopes: may(Read), handle: (*API).listEvents},
	{method: "GET", path: "/live", scopes: may(Read), handle: (*API).follow},

	{method: "GET", path: "/routes", scopes: may(Read), handle: (*API).listRoutes},
	{method: "POST", path: "/routes/{name}/pause", scopes: may(Admin), handle: (*API).pauseRoute},
	{method: "POST", path: "/routes/{name}/resume", scopes: may(Admin), handle: (*API).resumeRoute},
	{method: "POST", path: "/routes/{name}/restart", scopes: may(Admin), handle: (*API).restartRoute},
	{method: "POST", path: "/routes/{name}/ussd", scopes: may(Admin), handle: (*API).ussd},
	{method: "POST", path: "/routes/{name}/pin", scopes: may(Admin), handle: (*API).enterPIN, secret: true},

	{method: "GET", path: "/webhooks", scopes: may(Admin), handle: (*API).listWebhooks},
	{method: "GET", path: "/webhooks/{name}", scopes: may(Admin), handle: (*API).getWebhook},
	{method: "PUT", path: "/webhooks/{name}", scopes: may(Admin), handle: (*API).putWebhook},
	{method: "DELETE", path: "/webhooks/{name}", scopes: may(Admin), handle: (*API).deleteWebhook},
	{method: "POST", path: "/webhooks/{name}/test", scopes: may(Admin), handle: (*API).testWebhook, secret: true},
	{method: "POST", path: "/webhooks/{name}/replay", scopes: may(Admin), handle: (*API).replayWebhook, secret: true},

	{method: "GET", path: "/keys", scopes: may(Admin), handle: (*API).listKeys},
	{method: "POST", path: "/keys", scopes: may(Admin), handle: (*API).addKey, secret: true},
	{method: "DELETE", path: "/keys/{name}", scopes: may(Admin), handle: (*API).revokeKey},

	{method: "GET", path: "/status", scopes: may(Read, Admin), handle: (*API).status},
	{method: "POST", path: "/erase", scopes: may(Admin), handle: (*API).erasePerson, secret: true},
	{method: "POST", path: "/export", scopes: may(Admin), handle: (*API).exportPerson, secret: true},
	{method: "POST", path: "/backup", scopes: may(Admin), handle: (*API).backup, secret: true},
	{method: "GET", path: "/check", scopes: may(Admin), handle: (*API).check},
	{method: "GET", path: "/openapi.json", handle: (*API).openapi},

	{method: "GET", path: "/openapi.json", root: true, handle: (*API).openapi},
	{method: "GET", path: "/healthz", root: true, handle: (*API).healthz},
	{method: "GET", path: "/metrics", root: true, scopes: may(Read), handle: (*API).metrics},
}

type endpoint struct {
	method string
	path   string
	root   bool
	scopes []Scope
	handle func(*API, *call) (*reply, error)
	body   int64 // most bytes of a request; 0: maxBody

	// owns: it keeps its own answers for Idempotency-Key, in the transaction
	// that does the work. secret: neither what it is told nor what it answers
	// is ever kept, so a repeat is answered by the state it finds.
	owns   bool
	secret bool
}

func (e endpoint) pattern() string {
	if e.root {
		return e.path
	}
	return Prefix + e.path
}

func may(scopes ...Scope) []Scope { return scopes }
