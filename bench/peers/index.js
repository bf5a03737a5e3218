// The bench's function for the Functions Framework of Node.
exports.main = (request, response) => {
  if (request.path === "/echo") return response.send(request.rawBody);
  response.send(`hello from node ${request.path}\n`);
};
