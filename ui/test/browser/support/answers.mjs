// Answers that replace those of the hub, for what the example cannot bring about.

/** Answers requests for a path of the API, such as `/locks`, with `answer(url, request)`: a value, or one with headers. */
export async function answer(context, path, answer) {
  const pattern = new RegExp(`/durabletask${path}(\\?.*)?$`);
  await context.route(pattern, async (route) => {
    const { body, headers = {}, status = 200 } = await answer(new URL(route.request().url()), route.request());
    await route.fulfill({ status, contentType: 'application/json', headers, body: body === undefined ? '' : JSON.stringify(body) });
  });
}

/** Changes what the hub answers for a path of the API. */
export async function change(context, path, changed) {
  await context.route(new RegExp(`/durabletask${path}(\\?.*)?$`), async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: JSON.stringify(changed(await response.json())) });
  });
}
