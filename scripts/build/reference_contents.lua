--- The pages of the API reference, in the order of its list. A function of the module is found by
--- its name; a class with its methods, and what it is called in an example.

---@class doc.PageSpec
---@field name string of the file, and for `axolua help api`
---@field title string
---@field about string
---@field modules string[]? whose functions it has: "axo" alone, or "axo.text"
---@field classes { [1]: string, [2]: string }[]? a class, and the variable that holds one

return {
  {
    name = "axo", title = "axo: sessions", modules = { "axo" },
    about = [[
`local axo = require "axosandbox"`. Starts, opens, lists and ends sessions. A name is loaded when
it is first used.

Every function that waits can be called in three ways. Inside a coroutine it waits there, and the
loop goes on. At the top level it runs luv's loop until it is done. With a function as its last
argument it returns at once, and calls that function later with `err, result`. What fails returns
`nil, err`: see `axo.Error` in [errors](errors.md). A wrong argument raises an error instead.]],
  },
  {
    name = "session", title = "A session", classes = { { "axo.Session", "sb" } },
    about = "What `axo.start`, `axo.open` and `axo.attach` return. `sb` stands for one.",
  },
  {
    name = "command", title = "A command and its result",
    classes = { { "axo.Result", "r" }, { "axo.Exec", "h" } },
    about = [[
`sb:exec` waits and returns a result, `r` here. With a callback it returns a handle at once, `h`
here, and the callback gets the result.]],
  },
  {
    name = "task", title = "A task: a command in the background",
    classes = { { "axo.Task", "task" }, { "axo.Subscription", "following" } },
    about = "What `sb:spawn_background` returns. `task` stands for one.",
  },
  {
    name = "terminal", title = "A terminal", classes = { { "axo.Terminal", "term" } },
    about = "What `sb:spawn_pty` returns: a program that has a terminal of its own.",
  },
  {
    name = "forward", title = "A port that leads into a session",
    classes = { { "axo.Forward", "forward" }, { "axo.ListeningSubscription", "subscription" } },
    about = "What `sb:forward` and `sb:on_listen` return.",
  },
  {
    name = "devcontainer", title = "axo.devcontainer: a project's devcontainer.json",
    modules = { "axo.devcontainer" },
    about = "Reads the file, starts a session as it says where policy agrees, runs its commands.",
  },
  {
    name = "policy", title = "axo.policy: decisions, to look at and to try",
    modules = { "axo.policy" }, classes = { { "axo.Policy", "policy" } },
    about = "For a program that shows or checks policy. What the files may answer is in "
      .. "[decisions](decisions.md).",
  },
  {
    name = "decisions", title = "What policy files answer", types = {
      "axo.policy.SandboxDecision", "axo.policy.Limits", "axo.policy.ImageDecision",
      "axo.policy.PostCreateDecision", "axo.policy.ProvisionDecision", "axo.policy.ExecDecision",
      "axo.policy.NamesDecision", "axo.policy.EgressDecision",
      "axo.policy.RetryDecision", "axo.policy.Changes", "axo.policy.Complaint",
    },
    about = [[
Each policy file is a function that returns one of these tables. `sandbox.lua` returns a
`SandboxDecision`, `image_trust.lua` an `ImageDecision`, and so on. The guide `policy-files` says
how to write one.]],
  },
  {
    name = "network", title = "axo.network: a network by names", modules = { "axo.network" },
    types = { "axo.Denial" },
    about = "What is refused is in `result.denied` and `task:denied()`. The guide `policy-files` "
      .. "says how names are allowed.",
  },
  {
    name = "usage", title = "axo.usage: what sessions use", modules = { "axo.usage" },
    about = "Of sessions that `axo.list` told of. For one that is open there is `sb:stats()`.",
  },
  {
    name = "podman", title = "axo.podman: podman on this machine, and images",
    modules = { "axo.podman" },
    about = "`DEFAULT_IMAGE` is the image of a session that names none, `EMBEDDED_IMAGE` the one "
      .. "that runs where no registry can be reached.",
  },
  {
    name = "images", title = "axo.images: images on this machine", modules = { "axo.images" },
    types = { "axo.ImageInfo", "axo.AgreedImage", "axo.MadeImageInfo" },
    about = "What `axolua image` does: listing, choosing, pulling and making them. An image is "
      .. "trusted by its digest; the guide `images` says more.",
  },
  {
    name = "host", title = "axo.host: this machine and this user", modules = { "axo.host" },
    about = "Directories, the login, and the profile of system calls.",
  },
  {
    name = "check", title = "axo.check: is this usable?", modules = { "axo.check" },
    about = "What is wrong with a value, before it is used.",
  },
  {
    name = "errors", title = "axo.errors: errors, and what to do about them",
    modules = { "axo.errors" }, types = { "axo.Error" },
    about = "What fails returns `nil, err`. `err.code` is for programs; `tostring(err)` says what "
      .. "happened, why, and what to type.",
  },
  {
    name = "async", title = "axo.async: waiting on luv's loop", modules = { "axo.async" },
    classes = { { "axo.Gate", "gate" }, { "axo.core.Hangup", "watch" } },
    about = "What a program needs that does several things at once.",
  },
  {
    name = "text", title = "axo.text: text that comes from elsewhere", modules = { "axo.text" },
    classes = { { "axo.core.Screen", "screen" } },
    about = "Text from a container is not to be trusted: it can hold what a terminal obeys.",
  },
  {
    name = "json", title = "axo.json: JSON for programs", modules = { "axo.json" },
    about = "Keys in order, empty lists as lists, always valid UTF-8.",
  },
}
