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

	{method: "POST", path: "/batches", scopes: may(Send), handle: (*API).postBatch, body: maxBatchBody},
	{method: "GET", path: "/batches", scopes: may(Send, Read), handle: (*API).listBatches},
	{method: "GET", path: "/batches/{id}", scopes: may(Send, Read), handle: (*API).getBatch},
	{method: "GET", path: "/batches/{id}/messages", scopes: may(Send, Read), handle: (*API).batchMessages},
	{method: "GET", path: "/batches/{id}/recipients", scopes: may(Send, Read), handle: (*API).recipients},
	{method: "POST", path: "/batches/{id}/pause", scopes: may(Send), handle: (*API).pauseBatch},
	{method: "POST", path: "/batches/{id}/resume", scopes: may(Send), handle: (*API).resumeBatch},
	{method: "POST", path: "/batches/{id}/cancel", scopes: may(Send), handle: (*API).cancelBatch},

	{method: "GET", path: "/contacts", scopes: may(Manage), handle: (*API).listContacts},
	{method: "GET", path: "/contacts/{id}", scopes: may(Manage), handle: (*API).getContact},
	{method: "PUT", path: "/contacts/{id}", scopes: may(Manage), handle: (*API).putContact},
	{method: "DELETE", path: "/contacts/{id}", scopes: may(Manage), handle: (*API).deleteContact},
	{method: "POST", path: "/contacts/import", scopes: may(Manage), handle: (*API).importContacts, body: maxImport},
	{method: "GET", path: "/contacts/{id}/consents", scopes: may(Manage), handle: (*API).listConsents},
	{method: "POST", path: "/contacts/{id}/consents", scopes: may(Manage), handle: (*API).addConsent},
	{method: "GET", path: "/exclusions", scopes: may(Manage), handle: (*API).listExclusions},
	{method: "PUT", path: "/exclusions/{id}", scopes: may(Manage), handle: (*API).putExclusion},
	{method: "DELETE", path: "/exclusions/{id}", scopes: may(Manage), handle: (*API).deleteExclusion},
	{method: "GET", path: "/templates", scopes: may(Send, Manage), handle: (*API).listTemplates},
	{method: "GET", path: "/templates/{name}", scopes: may(Send, Manage), handle: (*API).getTemplate},
	{method: "PUT", path: "/templates/{name}", scopes: may(Manage), handle: (*API).putTemplate},
	{method: "DELETE", path: "/templates/{name}", scopes: may(Manage), handle: (*API).deleteTemplate},
	{method: "GET", path: "/bookings", scopes: may(Manage), handle: (*API).listBookings},
	{method: "GET", path: "/bookings/{id}", scopes: may(Manage), handle: (*API).getBooking},
	{method: "PUT", path: "/bookings/{id}", scopes: may(Manage), handle: (*API).putBooking},
	{method: "DELETE", path: "/bookings/{id}", scopes: may(Manage), handle: (*API).deleteBooking},
	{method: "GET", path: "/rules", scopes: may(Manage), handle: (*API).listRules},
	{method: "GET", path: "/rules/{name}", scopes: may(Manage), handle: (*API).getRule},
	{method: "PUT", path: "/rules/{name}", scopes: may(Manage), handle: (*API).putRule},
	{method: "DELETE", path: "/rules/{name}", scopes: may(Manage), handle: (*API).deleteRule},
	{method: "GET", path: "/rules/{name}/upcoming", scopes: may(Manage), handle: (*API).upcoming},
	{method: "GET", path: "/campaigns", scopes: may(Manage), handle: (*API).listCampaigns},
	{method: "GET", path: "/campaigns/{name}", scopes: may(Manage), handle: (*API).getCampaign},
	{method: "PUT", path: "/campaigns/{name}", scopes: may(Manage), handle: (*API).putCampaign},
	{method: "DELETE", path: "/campaigns/{name}", scopes: may(Manage), handle: (*API).deleteCampaign},
	{method: "GET", path: "/campaigns/{name}/recipients", scopes: may(Manage), handle: (*API).recipients},
	{method: "POST", path: "/campaigns/{name}/preview", scopes: may(Manage), handle: (*API).previewCampaign},
	{method: "POST", path: "/campaigns/{name}/test", scopes: may(Manage), handle: (*API).testCampaign},
	{method: "POST", path: "/campaigns/{name}/start", scopes: may(Manage), handle: (*API).startCampaign},
	{method: "POST", path: "/campaigns/{name}/pause", scopes: may(Manage), handle: (*API).pauseCampaign},
	{method: "POST", path: "/campaigns/{name}/resume", scopes: may(Manage), handle: (*API).resumeCampaign},
	{method: "POST", path: "/campaigns/{name}/stop", scopes: may(Manage), handle: (*API).stopCampaign},

	{method: "GET", path: "/opt-outs", scopes: may(Read, Manage), handle: (*API).listOptOuts},
	{method: "GET", path: "/inbox", scopes: may(Read), handle: (*API).listInbox},
	{method: "GET", path: "/events", scopes: may(Read), handle: (*API).listEvents},
	{method: "GET", path: "/live", scopes: may(Read), handle: (*API).follow},

	{method: "GET", path: "/routes", scopes: may(Read), handle: (*API).listRoutes},
	{method: "POST", path: "/routes/{name}/pause", scopes: may(Admin), handle: (*API).pauseRoute},
	{method: "POST", path: "/routes/{name}/resume", scopes: may(Admin), handle: (*API).resumeRoute},
	{method: "POST", path: "/routes/{name}/restart", scopes: may(Admin), handle: (*API).restartRoute},
	{method: "POST", path: "/routes/{name}/ussd", scopes: may(Admin), handle: (*API).ussd},
	{method: "POST", path: "/routes/{name}/examine", scopes: may(Admin), handle: (*API).examine, secret: true}, // a repeat is to look again
	{method: "POST", path: "/routes/{name}/pin", scopes: may(Admin), handle: (*API).enterPIN, secret: true},

	{method: "GET", path: "/settings", scopes: may(Admin), handle: (*API).getSettings},
	{method: "PUT", path: "/settings", scopes: may(Admin), handle: (*API).putSettings},

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
